"""API keys: minted once, kept as a hash, revocable; who a key's bearer is, in one read.

Source: docs/api.md, who calls.
"""

import functools
import hashlib
import logging
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import DBAPIError

from errors import CofferError, Forbidden, InvalidRequest, NotFound, Unauthorized
from extensions import db
from models.accounts import SCOPES, Account, ApiKey
from services import audit
from services.accounts.callers import Caller
from services.clock import to_microseconds, wall_now
from services.statements import Statement
from services.unit_of_work import atomic

PREFIX = "cof_"
DEFAULT_SCOPES = ("read", "spend")
SECONDS_BETWEEN_USES = 60
LONGEST_TOKEN = 200
_log = logging.getLogger(__name__)
_keys = ApiKey.__table__.c
KEY_WITH_HASH = Statement(
    select(_keys.id, _keys.account_id, _keys.scopes, _keys.last_used_at).where(
        _keys.key_hash == bindparam("of_hash"), _keys.revoked_at.is_(None)
    )
)
RECORD_USE = Statement(
    update(ApiKey.__table__)
    .where(_keys.key_hash == bindparam("of_hash"))
    .values(last_used_at=bindparam("used_at"))
)


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key. ``token`` is shown this once; only its hash is kept."""

    key_id: int
    token: str


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as a reader sees it. ``account`` is a slug; None: the whole instance."""

    id: int
    prefix: str
    name: str
    account: str | None
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@atomic
def mint(
    account_id: int | None, actor: str, scopes: tuple[str, ...] = DEFAULT_SCOPES, name: str = ""
) -> MintedKey:
    """Make a key of one account, or of the whole instance where ``account_id`` is None.

    Raises InvalidRequest naming ``scopes`` or ``name``.
    """
    wanted = [scope for scope in SCOPES if scope in scopes]
    if not wanted or set(scopes) - set(SCOPES):
        raise InvalidRequest.of("scopes", f"must be some of {', '.join(SCOPES)}")
    if len(name) > 100:
        raise InvalidRequest.of("name", "must have at most 100 characters")
    token = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        key_hash=hash_of(token), prefix=token[:12], name=name, account_id=account_id,
        scopes=",".join(wanted), created_by=actor, created_at=wall_now(),
    )  # fmt: skip
    db.session.add(key)
    db.session.flush()
    audit.record("key.minted", actor, account_id, key_id=key.id, scopes=key.scopes)
    return MintedKey(key.id, token)


@atomic
def revoke(
    key_id: int,
    account_id: int | None = None,
    *,
    actor: str = "command",
    only_platform: bool = False,
    only_scopes: tuple[str, ...] = SCOPES,
) -> None:
    """End a key for good; again is fine. ``account_id`` limits it to that account's.

    Raises NotFound; Forbidden for a key that may do more than ``only_scopes``.
    """
    key = db.session.get(ApiKey, key_id)
    is_elsewhere = key is not None and account_id is not None and key.account_id != account_id
    if key is None or is_elsewhere or (only_platform and key.account_id is not None):
        raise NotFound("There is no such key.")
    if not _scopes(key.scopes) <= set(only_scopes):
        raise Forbidden("This key was made by an operator, and only an operator ends it.")
    if key.revoked_at is None:
        key.revoked_at = wall_now()
        audit.record("key.revoked", actor, key.account_id, key_id=key_id)


def list_keys(account_id: int | None = None, *, only_platform: bool = False) -> list[KeyView]:
    """Every key, newest first, or one account's, or those of the whole instance."""
    query = select(ApiKey, Account.slug).outerjoin(Account, Account.id == ApiKey.account_id)
    if only_platform:
        query = query.where(ApiKey.account_id.is_(None))
    if account_id is not None:
        query = query.where(ApiKey.account_id == account_id)
    return [
        KeyView(
            key.id, key.prefix, key.name, slug, tuple(key.scopes.split(",")), key.created_by, key.created_at,
            key.last_used_at, key.revoked_at,
        )
        for key, slug in db.session.execute(query.order_by(ApiKey.id.desc()))
    ]  # fmt: skip


def caller_of(token: str) -> Caller:
    """Who the bearer of a token is. Raises Unauthorized, in the same words whatever is wrong."""
    if token.startswith(PREFIX) and len(token) <= LONGEST_TOKEN:
        key_hash = hash_of(token)
        row = KEY_WITH_HASH.first(of_hash=key_hash)
        if row is not None:
            key_id, account_id, scopes, last_used_at = row
            _uses.note(key_hash, last_used_at)
            return Caller(f"key:{key_id}", account_id, _scopes(scopes), account_id is None)
    raise Unauthorized("The API key is unknown or revoked.")


def hash_of(token: str) -> str:
    """The form in which a token is kept. It is random and long: a plain hash cannot be guessed back."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


@functools.cache
def _scopes(text: str) -> frozenset[str]:
    return frozenset(text.split(","))


class _Uses:
    """Uses to record: a key's last use goes to the database at most once a minute per process."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._noted: dict[str, float] = {}
        self._due: dict[str, int] = {}

    def note(self, key_hash: str, last_used_at: int | None) -> None:
        """Leave a use for recording where the last one recorded is a minute old."""
        now = time.monotonic()
        if now - self._noted.get(key_hash, -SECONDS_BETWEEN_USES) < SECONDS_BETWEEN_USES:
            return
        used_at = to_microseconds(wall_now())
        with self._guard:
            self._noted[key_hash] = now
            if last_used_at is None or used_at - last_used_at >= SECONDS_BETWEEN_USES * 1_000_000:
                self._due[key_hash] = used_at

    def take(self) -> dict[str, int]:
        """What is due, handed over once."""
        if not self._due:
            return {}
        with self._guard:
            due, self._due = self._due, {}
        return due


_uses = _Uses()


def record_uses() -> None:
    """Write the uses that are due, after the answer; where that fails the answer stands all the same."""
    due = _uses.take()
    if due:
        try:
            _write_uses(due)
        except (CofferError, DBAPIError) as error:
            _log.warning("the last use of %d API keys was not recorded: %s", len(due), error)


@atomic
def _write_uses(due: dict[str, int]) -> None:
    for key_hash, used_at in due.items():
        RECORD_USE.run(of_hash=key_hash, used_at=used_at).close()

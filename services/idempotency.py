"""One key, one effect: the caller's key is written in the transaction of what it did.

Successes, and refusals decided inside the operation, are kept and given again; the same key with another
request is refused. Source: docs/api.md, idempotency.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, bindparam, func, insert, select

from errors import CofferError, Conflict, IdempotencyKeyReused
from extensions import db
from models.ledger import IdempotencyKey
from services.clock import to_microseconds, wall_now
from services.statements import Statement
from services.unit_of_work import atomic

_keys = IdempotencyKey.__table__.c
FIND_KEY = Statement(
    select(_keys.fingerprint, _keys.status, _keys.body).where(
        _keys.scope == bindparam("of_scope"), _keys.key == bindparam("of_key")
    )
)
LOCK_KEY = Statement(select(func.pg_advisory_xact_lock(bindparam("lock_id", type_=BigInteger))))
KEEP_ANSWER = Statement(insert(IdempotencyKey.__table__).values({c.name: bindparam(c.name) for c in _keys}))
# Decided inside the operation; what is decided before it (401, 422, 429 …) may be mended and sent again.
KEPT_STATUSES = {402, 404, 409}
KEPT_CODES = {"account_frozen", "account_past_due", "subscription_required"}
NEVER_KEPT_CODES = {"idempotency_key_reused"}
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it goes out: HTTP status, JSON text, whether it is a replay."""

    status: int
    body: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """A caller's key. ``scope`` is the account acted on, 0 for the instance."""

    scope: int
    key: str
    fingerprint: str


def fingerprint_of(method: str, path: str, body: Any) -> str:
    """SHA-256 over method, path and the canonical form of the parsed body."""
    canonical = _CANONICAL.encode(body)
    return hashlib.sha256(f"{method}\n{path}\n{canonical}".encode(errors="surrogatepass")).hexdigest()


def run_once(key: Key | None, operation: Callable[[], tuple[int, Any]]) -> Answer:
    """Run an operation in one unit with its key; a replay returns the first answer.

    ``operation`` returns the HTTP status and a JSON-ready value. Raises what the operation raises, and
    IdempotencyKeyReused, Conflict (a twin is at work).
    """
    if key is None:
        return _run(operation)
    try:
        return _run_with_key(key, operation)
    except CofferError as refusal:
        if not is_kept(refusal):
            raise
        return keep_answer(key, refusal.status, refusal.problem())


@atomic
def _run(operation: Callable[[], tuple[int, Any]]) -> Answer:
    status, value = operation()
    return Answer(status, json.dumps(value))


@atomic
def _run_with_key(key: Key, operation: Callable[[], tuple[int, Any]]) -> Answer:
    found = _find_after_twin(key)
    if found is not None:
        return found
    status, value = operation()
    return _insert(key, status, json.dumps(value))


def find_answer(key: Key) -> Answer | None:
    """The kept answer of a key. Raises IdempotencyKeyReused where it belongs to another request."""
    row = FIND_KEY.first(of_scope=key.scope, of_key=key.key)
    if row is None:
        return None
    fingerprint, status, body = row
    if fingerprint != key.fingerprint:
        raise IdempotencyKeyReused()
    return Answer(status, body, replayed=True)


@atomic
def keep_answer(key: Key, status: int, value: Any) -> Answer:
    """Keep an answer that was reached outside the operation's unit; where a twin was first, its answer."""
    return _find_after_twin(key) or _insert(key, status, json.dumps(value))


def is_kept(refusal: CofferError) -> bool:
    """Whether a refusal is kept and replayed."""
    if refusal.code in NEVER_KEPT_CODES or refusal.retry_after_seconds is not None:
        return False
    return refusal.status in KEPT_STATUSES or refusal.code in KEPT_CODES


def _insert(key: Key, status: int, body: str) -> Answer:
    KEEP_ANSWER.defer(
        scope=key.scope, key=key.key, fingerprint=key.fingerprint, status=status, body=body,
        created_at=to_microseconds(wall_now()),
    )  # fmt: skip
    return Answer(status, body)


def _find_after_twin(key: Key) -> Answer | None:
    """The kept answer of a key, after whoever is at work under it. Raises Conflict where that takes too long.

    On PostgreSQL a lock on the key makes twins take turns; SQLite's one writer does so by itself.
    """
    if db.engine.dialect.name == "sqlite":
        return find_answer(key)
    digest = hashlib.sha256(f"{key.scope}\n{key.key}".encode()).digest()
    LOCK_KEY.defer(lock_id=int.from_bytes(digest[:8], "big", signed=True))
    try:
        return find_answer(key)
    except Exception as error:
        if getattr(error, "sqlstate", None) == "55P03":
            raise Conflict(
                "The same request is still at work under this key.", retry_after_seconds=1
            ) from error
        raise

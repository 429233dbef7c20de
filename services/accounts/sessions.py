"""Signed-in browsers: the cookie carries a random token, the table its hash, and a row can be ended.

Source: docs/security.md, sessions.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, update

from errors import StorageUnavailable
from extensions import db
from models.accounts import SecondFactor, User, UserSession
from services.clock import from_microseconds, wall_now
from services.statements import Statement
from services.unit_of_work import atomic

IDLE = timedelta(hours=12)
ABSOLUTE = timedelta(days=30)
OPERATOR_IDLE = timedelta(hours=4)
OPERATOR_ABSOLUTE = timedelta(days=1)
CODE_WITHIN = timedelta(minutes=10)
TOUCH_EVERY = timedelta(minutes=1)
TOKEN_PREFIX = "cos_"

_sessions = UserSession.__table__.c
_users = User.__table__.c
FIND_SESSION = Statement(
    select(
        _sessions.id, _sessions.user_id, _users.email, _users.name, _users.is_operator,
        _sessions.created_at, _sessions.last_seen_at,
    )
    .join_from(UserSession.__table__, User.__table__, _users.id == _sessions.user_id)
    .where(
        _sessions.token_hash == bindparam("of_token_hash"),
        _sessions.revoked_at.is_(None),
        _users.disabled_at.is_(None),
        _sessions.awaits_code == bindparam("awaits_code"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The person behind a session."""

    session_id: int
    user_id: int
    email: str
    name: str
    is_operator: bool

    is_authenticated = True
    is_active = True
    is_anonymous = False

    @property
    def id(self) -> int:
        """The id of the person."""
        return self.user_id

    @property
    def actor(self) -> str:
        """As the journal and the audit log name the person."""
        return f"user:{self.user_id}"

    def get_id(self) -> str:
        """The id of the person, as text."""
        return str(self.user_id)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """One signed-in browser, as its owner sees it."""

    id: int
    created_at: datetime
    last_seen_at: datetime
    address: str
    user_agent: str


def hash_of(token: str) -> str:
    """What the database keeps of a random token; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


@atomic
def open_session(user_id: int, address: str, user_agent: str, *, is_proven: bool = False) -> str:
    """Begin a session and return its token, which is not kept.

    Of a person with a second factor it opens nothing until the code was given; ``is_proven``: it has been.
    """
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    now = wall_now()
    db.session.add(
        UserSession(
            token_hash=hash_of(token),
            user_id=user_id,
            created_at=now,
            last_seen_at=now,
            address=address[:64],
            user_agent=user_agent[:255],
            awaits_code=not is_proven and has_second_factor(user_id),
        )
    )
    return token


def has_second_factor(user_id: int) -> bool:
    """Whether a person signs in with a code besides the password."""
    return (
        db.session.scalar(
            select(SecondFactor.user_id).where(
                SecondFactor.user_id == user_id, SecondFactor.confirmed_at.is_not(None)
            )
        )
        is not None
    )


def awaiting_code(token: str) -> SignedIn | None:
    """Whose password was right and whose code is still to come, for a few minutes."""
    return _found(token, awaits_code=True, touch=False)


def find_session(token: str, *, touch: bool = True) -> SignedIn | None:
    """Who holds a token, or None where it is unknown, ended or too old.

    ``touch`` notes that the session is in use; a page that polls by itself must not keep it alive.
    """
    return _found(token, awaits_code=False, touch=touch)


def _found(token: str, *, awaits_code: bool, touch: bool) -> SignedIn | None:
    if not token.startswith(TOKEN_PREFIX) or len(token) > 100:
        return None
    row = FIND_SESSION.first(of_token_hash=hash_of(token), awaits_code=awaits_code)
    if row is None:
        return None
    session_id, user_id, email, name, is_operator, created_at, last_seen_at = row
    now = wall_now()
    seen_at = from_microseconds(last_seen_at)
    if not _is_alive(from_microseconds(created_at), seen_at, now, bool(is_operator)):
        return None
    if awaits_code and now >= seen_at + CODE_WITHIN:
        return None
    if touch and now - seen_at >= TOUCH_EVERY:
        _try_to_touch(session_id, now)
    return SignedIn(session_id, user_id, email, name, bool(is_operator))


def _is_alive(created_at: datetime, seen_at: datetime, now: datetime, is_operator: bool) -> bool:
    idle, absolute = (OPERATOR_IDLE, OPERATOR_ABSOLUTE) if is_operator else (IDLE, ABSOLUTE)
    return now < seen_at + idle and now < created_at + absolute


def _try_to_touch(session_id: int, now: datetime) -> None:
    try:
        _touch(session_id, now)
    except StorageUnavailable:
        return  # reading goes on while nothing can be written


@atomic
def _touch(session_id: int, now: datetime) -> None:
    db.session.execute(update(UserSession).where(UserSession.id == session_id).values(last_seen_at=now))


@atomic
def revoke_session(session_id: int) -> None:
    """End one session. Idempotent."""
    db.session.execute(
        update(UserSession)
        .where(UserSession.id == session_id, UserSession.revoked_at.is_(None))
        .values(revoked_at=wall_now())
    )


@atomic
def revoke_token(token: str) -> None:
    """End the session of a token, whoever's it is. Idempotent."""
    db.session.execute(
        update(UserSession)
        .where(UserSession.token_hash == hash_of(token), UserSession.revoked_at.is_(None))
        .values(revoked_at=wall_now())
    )


@atomic
def revoke_sessions(user_id: int, *, except_session_id: int | None = None) -> int:
    """End every session of a person, but one where it is named; returns how many. Idempotent."""
    statement = update(UserSession).where(UserSession.user_id == user_id, UserSession.revoked_at.is_(None))
    if except_session_id is not None:
        statement = statement.where(UserSession.id != except_session_id)
    return db.session.execute(statement.values(revoked_at=wall_now())).rowcount


def sessions_of(user_id: int, is_operator: bool) -> list[OpenSession]:
    """The sessions of a person that still open something, latest use first."""
    rows = db.session.scalars(
        select(UserSession)
        .where(
            UserSession.user_id == user_id, UserSession.revoked_at.is_(None), ~UserSession.awaits_code
        )
        .order_by(UserSession.last_seen_at.desc(), UserSession.id.desc())
    )
    now = wall_now()
    return [
        OpenSession(row.id, row.created_at, row.last_seen_at, row.address, row.user_agent)
        for row in rows
        if _is_alive(row.created_at, row.last_seen_at, now, is_operator)
    ]

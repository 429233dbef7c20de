"""Signing in, and changing one's own password: limits, the hash, a new session.

The hash is computed outside every unit of work, for known and unknown addresses alike.
Source: docs/security.md, signing in.
"""

from dataclasses import dataclass

from sqlalchemy import select

from errors import InvalidRequest, Unauthorized
from extensions import db
from models.accounts import User
from services import audit
from services.accounts import passwords, sessions, throttle
from services.clock import wall_now
from services.unit_of_work import atomic


@dataclass(frozen=True, slots=True)
class Browser:
    """Where a request comes from."""

    address: str
    user_agent: str = ""


def sign_in(email: str, password: str, browser: Browser) -> str:
    """Check a password and return the token of a new session.

    Raises Unauthorized in the same words and time whether the address or the password is wrong,
    RateLimited.
    """
    address = email.strip().lower().replace("\x00", "")  # PostgreSQL's text takes no NUL
    throttle.count_attempt("sign_in", browser.address, address or "-")
    user_id, password_hash = _credentials_of(address)
    if not passwords.is_right(password, password_hash):
        raise Unauthorized("The e-mail address or the password is not right.")
    assert user_id is not None and password_hash is not None
    new_hash = passwords.hash_password(password) if passwords.needs_rehash(password_hash) else None
    token = _begin(user_id, password_hash, new_hash, browser)
    throttle.forgive("sign_in", browser.address, address)
    return token


def change_password(user_id: int, current_password: str, new_password: str, browser: Browser) -> str:
    """Replace one's own password; every session ends, and the token of a new one is returned.

    Raises InvalidRequest naming ``current_password`` or ``new_password``, RateLimited.
    """
    user = db.session.get(User, user_id)
    assert user is not None
    email, password_hash = user.email, user.password_hash
    passwords.check_new_password(new_password, email, "new_password")
    throttle.count_attempt("password", browser.address, email)
    if not passwords.is_right(current_password, password_hash):
        raise InvalidRequest.of("current_password", "This is not your current password.")
    throttle.forgive("password", browser.address, email)
    assert password_hash is not None
    return _replace(user_id, password_hash, passwords.hash_password(new_password), browser)


def _credentials_of(email: str) -> tuple[int | None, str | None]:
    row = db.session.execute(
        select(User.id, User.password_hash).where(User.email == email, User.disabled_at.is_(None))
    ).first()
    return (row.id, row.password_hash) if row else (None, None)


@atomic
def _begin(user_id: int, checked_hash: str, new_hash: str | None, browser: Browser) -> str:
    user = _still_theirs(user_id, checked_hash)
    if new_hash is not None:
        user.password_hash = new_hash
    user.last_login_at = wall_now()
    audit.record("user.signed_in", f"user:{user_id}")
    return sessions.open_session(user_id, browser.address, browser.user_agent)


@atomic
def _replace(user_id: int, checked_hash: str, new_hash: str, browser: Browser) -> str:
    _still_theirs(user_id, checked_hash).password_hash = new_hash
    sessions.revoke_sessions(user_id)
    audit.record("user.password_changed", f"user:{user_id}", user_id=user_id)
    return sessions.open_session(user_id, browser.address, browser.user_agent, is_proven=True)


def _still_theirs(user_id: int, checked_hash: str) -> User:
    """While the hash was computed the person may have been disabled, or the password replaced."""
    user = db.session.scalar(
        select(User).where(User.id == user_id).with_for_update().execution_options(populate_existing=True)
    )
    if user is None or user.disabled_at is not None or user.password_hash != checked_hash:
        raise Unauthorized("The e-mail address or the password is not right.")
    return user

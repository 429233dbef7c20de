"""A second step of signing in: a code of an authenticator app, or a recovery code where the app is lost.

Codes are those of RFC 6238 (30 seconds, six digits); the neighbouring half minutes are taken too, and none
twice. Source: docs/security.md, second step.
"""

import base64
import functools
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

import pyotp
from sqlalchemy import delete, func, select, update

from errors import Conflict, InvalidRequest, NotFound, Unauthorized
from extensions import db
from models.accounts import RecoveryCode, SecondFactor, User
from services import audit
from services.accounts import passwords, sessions, throttle
from services.accounts.sign_in import Browser
from services.clock import wall_now
from services.unit_of_work import atomic

STEP_SECONDS = 30
RECOVERY_CODES = 10
CODE_LENGTH = 40
_WRONG = "The code is not right, or it was used already."
_keys: dict[str, bytes] = {}


@dataclass(frozen=True, slots=True)
class Setup:
    """What an authenticator app needs to know: as text to type, and as the address that a QR code carries."""

    secret: str
    address: str


@dataclass(frozen=True, slots=True)
class SecondStep:
    """Where a person stands."""

    is_on: bool
    recovery_codes_left: int


def use_key(secret_key: str) -> None:
    """Set what secrets are encrypted with: a key of its own, made from SECRET_KEY."""
    digest = hmac.digest(secret_key.encode(), b"coffer second factor", hashlib.sha256)
    _keys["fernet"] = base64.urlsafe_b64encode(digest)


def second_step_of(user_id: int) -> SecondStep:
    """Whether a person gives a code when signing in, and how many recovery codes are left."""
    left = db.session.scalar(
        select(func.count(RecoveryCode.id)).where(
            RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None)
        )
    )
    return SecondStep(sessions.has_second_factor(user_id), left or 0)


@atomic
def begin_setup(user_id: int, issuer: str) -> Setup:
    """Make a secret for an authenticator app, in place of one never confirmed. Raises Conflict where one is on."""
    user = db.session.get_one(User, user_id, with_for_update=True)
    row = db.session.get(SecondFactor, user_id)
    if row is not None and row.confirmed_at is not None:
        raise Conflict("The second step is on already.")
    if row is None:
        row = SecondFactor(user_id=user_id, secret=_encrypted(pyotp.random_base32(32)), created_at=wall_now())
        db.session.add(row)
    secret = _decrypted(row.secret)
    return Setup(secret, pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=issuer))


def confirm_setup(user_id: int, code: str) -> list[str]:
    """Turn the second step on once the app gives the right code; the recovery codes, told once.

    Raises InvalidRequest naming ``code``, NotFound where no setup has begun, RateLimited.
    """
    throttle.count_code(user_id)  # in a unit of its own: a refusal must not take the count back
    return _confirm(user_id, code)


@atomic
def _confirm(user_id: int, code: str) -> list[str]:
    row = db.session.get(SecondFactor, user_id, with_for_update=True)
    if row is None or row.confirmed_at is not None:
        raise NotFound("There is no second step to confirm.")
    if not _takes(row, code):
        raise InvalidRequest.of("code", "This is not the code that the app shows now.")
    row.confirmed_at = wall_now()
    audit.record("user.second_step_on", f"user:{user_id}", user_id=user_id)
    return _new_recovery_codes(user_id)


def turn_off(user_id: int, password: str, browser: Browser) -> None:
    """Sign in with the password alone again. Raises InvalidRequest naming ``password``, RateLimited."""
    user = db.session.get_one(User, user_id)
    email, password_hash = user.email, user.password_hash
    throttle.count_attempt("password", browser.address, email)
    if not passwords.is_right(password, password_hash):
        raise InvalidRequest.of("password", "This is not your current password.")
    throttle.forgive("password", browser.address, email)
    remove(user_id, actor=f"user:{user_id}")


@atomic
def remove(user_id: int, *, actor: str) -> bool:
    """Forget a person's second step; whether there was one. Idempotent."""
    gone = db.session.execute(delete(SecondFactor).where(SecondFactor.user_id == user_id)).rowcount
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    if gone:
        audit.record("user.second_step_off", actor, user_id=user_id)
    return bool(gone)


def prove(token: str, code: str, browser: Browser) -> str:
    """Take the code of whoever has given the password: the token of a new session, which opens everything.

    Raises Unauthorized where the first step is over or too old, InvalidRequest naming ``code``, RateLimited.
    """
    waiting = sessions.awaiting_code(token)
    if waiting is None:
        raise Unauthorized("Sign in again: the first step was too long ago.")
    throttle.count_attempt("second_factor", browser.address, waiting.email)
    throttle.count_code(waiting.user_id)
    proven = _prove(waiting.user_id, waiting.session_id, code, browser)
    throttle.forgive("second_factor", browser.address, waiting.email)
    return proven


@atomic
def _prove(user_id: int, session_id: int, code: str, browser: Browser) -> str:
    row = db.session.get(SecondFactor, user_id, with_for_update=True, populate_existing=True)
    if row is None or not (_takes_recovery_code(user_id, code) or _takes(row, code)):
        raise InvalidRequest.of("code", _WRONG)
    sessions.revoke_session(session_id)
    audit.record("user.second_step_given", f"user:{user_id}")
    return sessions.open_session(user_id, browser.address, browser.user_agent, is_proven=True)


def _takes(row: SecondFactor, code: str) -> bool:
    """Whether a code is of this half minute or a neighbour, and later than the last one taken."""
    given = "".join(code.split())
    if not (len(given) == 6 and given.isascii() and given.isdigit()):
        return False
    totp = pyotp.TOTP(_decrypted(row.secret))
    now = int(wall_now().timestamp()) // STEP_SECONDS
    for step in (now - 1, now, now + 1):
        if step > row.last_step and hmac.compare_digest(totp.at(step * STEP_SECONDS), given):
            row.last_step = step
            return True
    return False


def _takes_recovery_code(user_id: int, code: str) -> bool:
    if len(code) > CODE_LENGTH:
        return False
    used = db.session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_hash == _hash(user_id, code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=wall_now())
    )
    return used.rowcount == 1


def _new_recovery_codes(user_id: int) -> list[str]:
    codes = ["-".join(secrets.token_hex(2) for _ in range(4)) for _ in range(RECOVERY_CODES)]
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    db.session.add_all(RecoveryCode(user_id=user_id, code_hash=_hash(user_id, code)) for code in codes)
    return codes


def _hash(user_id: int, code: str) -> str:
    """64 random bits, tried a dozen times at most: a plain hash will do."""
    plain = "".join(code.lower().replace("-", "").split())
    return hashlib.sha256(f"{user_id} {plain}".encode(errors="replace")).hexdigest()


@functools.lru_cache(maxsize=2)
def _cipher(key: bytes) -> Any:
    """Loaded by those alone who need it: the library takes memory."""
    from cryptography.fernet import Fernet

    return Fernet(key)


def _encrypted(secret: str) -> str:
    return _cipher(_keys["fernet"]).encrypt(secret.encode()).decode()


def _decrypted(secret: str) -> str:
    """Raises Conflict where SECRET_KEY is another one than when it was set up."""
    from cryptography.fernet import InvalidToken

    try:
        return _cipher(_keys["fernet"]).decrypt(secret.encode()).decode()
    except InvalidToken:
        raise Conflict(
            "The second step was set up under another SECRET_KEY: use a recovery code, or ask an operator."
        ) from None

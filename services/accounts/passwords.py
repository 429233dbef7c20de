"""Passwords: what is accepted, how they are hashed, and that no more than two hashes run at a time.

Source: docs/security.md, passwords.
"""

import functools
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from werkzeug.security import check_password_hash, generate_password_hash

from errors import InvalidRequest, RateLimited
from turn import set_aside

# OWASP's scrypt parameters for 32 MB: werkzeug's default has p=1, N=2^17 would take 128 MB a hash.
METHOD = "scrypt:32768:8:3"
MIN_CHARACTERS = 8
MAX_CHARACTERS = 1024
HASHES_AT_A_TIME = 2
WAIT_SECONDS = 8.0

_COMMON_PASSWORDS = Path(__file__).with_name("common_passwords.txt")
_slots = threading.BoundedSemaphore(HASHES_AT_A_TIME)


def check_new_password(password: str, email: str = "", field: str = "password") -> None:
    """Raises InvalidRequest naming the field where a password is too short, too long or too common."""
    if len(password) < MIN_CHARACTERS:
        raise InvalidRequest.of(field, f"Use at least {MIN_CHARACTERS} characters.")
    if len(password) > MAX_CHARACTERS:
        raise InvalidRequest.of(field, f"Use at most {MAX_CHARACTERS} characters.")
    folded = password.casefold()
    if folded in _common_passwords() or len(set(folded)) == 1:
        raise InvalidRequest.of(field, "This password is among the most common ones. Choose another.")
    if email and folded in (email.casefold(), email.casefold().split("@")[0]):
        raise InvalidRequest.of(field, "The password must not be your e-mail address.")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise InvalidRequest.of(field, "The password contains characters that cannot be typed.") from None


def hash_password(password: str) -> str:
    """A salted hash for the database. Takes about 100 ms: never call it inside a unit of work."""
    with _slot():
        return generate_password_hash(_normalised(password), METHOD)


def is_right(password: str, password_hash: str | None) -> bool:
    """Whether a password is the one of a hash. Without a hash the same work is done, and it never is."""
    if len(password) > MAX_CHARACTERS:
        password = ""
    with _slot():
        fits = check_password_hash(password_hash or _hash_of_nobody(), _normalised(password))
    return fits and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return not password_hash.startswith(METHOD + "$")


def _normalised(password: str) -> str:
    # The same letters reach us composed from one keyboard and decomposed from another.
    return unicodedata.normalize("NFC", password).encode(errors="replace").decode()


@contextmanager
def _slot() -> Iterator[None]:
    with set_aside():
        if not _slots.acquire(timeout=WAIT_SECONDS):
            raise RateLimited("Too many people are signing in at once.", retry_after_seconds=5)
        try:
            yield
        finally:
            _slots.release()


@functools.cache
def _hash_of_nobody() -> str:
    return f"{METHOD}$sixteen-letters-$" + "00" * 64


@functools.cache
def _common_passwords() -> frozenset[str]:
    lines = _COMMON_PASSWORDS.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))

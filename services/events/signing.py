"""Signatures of deliveries, by Standard Webhooks, and the secrets they are made with, which are kept encrypted.

Source: docs/webhooks.md, checking a delivery.
"""

import base64
import functools
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Any

from errors import Conflict

PREFIX = "whsec_"
SECRET_BYTES = 32
_keys: dict[str, bytes] = {}


def use_key(secret_key: str) -> None:
    """Set what secrets are encrypted with: a key of its own, made from SECRET_KEY."""
    digest = hmac.digest(secret_key.encode(), b"coffer webhook secrets", hashlib.sha256)
    _keys["fernet"] = base64.urlsafe_b64encode(digest)


def new_secret() -> str:
    """What an endpoint checks its deliveries with."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sealed(secret: str) -> str:
    """A secret as the database keeps it."""
    return _cipher(_keys["fernet"]).encrypt(secret.encode()).decode()


def unsealed(kept: str) -> str:
    """A secret again. Raises Conflict where SECRET_KEY is another one than when it was made."""
    from cryptography.fernet import InvalidToken

    try:
        return _cipher(_keys["fernet"]).decrypt(kept.encode()).decode()
    except InvalidToken:
        raise Conflict("The secret was kept under another SECRET_KEY: make a new one.") from None


def signed_headers(of_secrets: Iterable[str], event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers by which whoever knows one of the secrets can tell that a delivery is ours."""
    content = f"{event_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(_bytes_of(secret), content, hashlib.sha256)).decode()
        for secret in of_secrets
    ]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _bytes_of(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX))


@functools.lru_cache(maxsize=2)
def _cipher(key: bytes) -> Any:
    """Loaded by those alone who need it: the library takes memory."""
    from cryptography.fernet import Fernet

    return Fernet(key)

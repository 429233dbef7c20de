"""One-time tokens: random, kept as a hash, good for one use within an hour.

Source: docs/security.md, one-time links.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from errors import NotFound
from extensions import db
from models.accounts import OneTimeToken
from services.accounts.sessions import hash_of
from services.clock import wall_now
from services.unit_of_work import atomic

LIFETIME = timedelta(hours=1)
TOKEN_PREFIX = "cot_"


class LinkNotValid(NotFound):
    """A one-time link that opens nothing (any more)."""

    def __init__(self) -> None:
        super().__init__("This link is not valid: it was used already, or it is older than an hour.")


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A fresh token; the secret is told once and not kept."""

    id: int
    secret: str
    email: str
    expires_at: datetime


@atomic
def issue_token(
    purpose: str,
    email: str = "",
    *,
    user_id: int | None = None,
    account_id: int | None = None,
    role: str | None = None,
    created_by_id: int | None = None,
    is_dead: bool = False,
) -> IssuedToken:
    """Make a token. ``is_dead``: one that opens nothing, where only the same work is wanted."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    now = wall_now()
    row = OneTimeToken(
        token_hash=hash_of(secret),
        purpose=purpose,
        email="" if is_dead else email,
        user_id=user_id,
        account_id=account_id,
        role=role,
        created_by_id=created_by_id,
        created_at=now,
        expires_at=now + LIFETIME,
        used_at=now if is_dead else None,
    )
    db.session.add(row)
    db.session.flush()
    return IssuedToken(row.id, secret, email, row.expires_at)


def open_token(purpose: str, secret: str) -> OneTimeToken:
    """The row of a token that still opens something. Raises LinkNotValid."""
    row = db.session.scalar(
        select(OneTimeToken).where(
            OneTimeToken.token_hash == hash_of(secret),
            OneTimeToken.purpose == purpose,
            OneTimeToken.used_at.is_(None),
            OneTimeToken.expires_at > wall_now(),
        )
    )
    if row is None:
        raise LinkNotValid()
    return row


@atomic
def use_token(purpose: str, secret: str) -> OneTimeToken:
    """Use a token up, in the unit of what it allows. Raises LinkNotValid where a twin was first."""
    row = open_token(purpose, secret)
    used = db.session.execute(
        update(OneTimeToken)
        .where(OneTimeToken.id == row.id, OneTimeToken.used_at.is_(None))
        .values(used_at=wall_now())
    )
    if used.rowcount != 1:
        raise LinkNotValid()
    return row

"""Reading the audit log: who did what, newest first, with the names of people, keys and accounts."""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from extensions import db
from models.accounts import Account, ApiKey, User
from models.audit import AuditEvent

DEEDS_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class Deed:
    """One deed. ``by`` names the actor in words; ``details`` are its ids and plain values."""

    id: int
    actor: str
    by: str
    action: str
    account: str | None
    details: dict[str, object]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Deeds:
    """A page of deeds; ``next_cursor`` is where the older ones begin."""

    deeds: list[Deed]
    next_cursor: int | None


def deeds(
    *, account: str = "", action: str = "", older_than: int | None = None, limit: int = DEEDS_A_PAGE
) -> Deeds:
    """The newest deeds: of one account by its slug, of actions that begin with a text such as ``user.``."""
    query = select(AuditEvent, Account.slug).outerjoin(Account, Account.id == AuditEvent.account_id)
    if account:
        query = query.where(Account.slug == account)
    if action:
        query = query.where(AuditEvent.action.startswith(action, autoescape=True))
    if older_than is not None:
        query = query.where(AuditEvent.id < older_than)
    rows = db.session.execute(query.order_by(AuditEvent.id.desc()).limit(limit + 1)).all()
    page = rows[:limit]
    names = _names({event.actor for event, _ in page})
    return Deeds(
        [
            Deed(
                event.id, event.actor, names.get(event.actor, event.actor), event.action, slug,
                json.loads(event.details), event.created_at,
            )
            for event, slug in page
        ],
        page[-1][0].id if len(rows) > limit else None,
    )  # fmt: skip


def _names(actors: set[str]) -> dict[str, str]:
    """People by their address, keys by their name, in two queries however many there are."""
    numbers: dict[str, dict[int, str]] = {"user": {}, "key": {}}
    for actor in actors:
        kind, _, number = actor.partition(":")
        if kind in numbers and number.isdecimal():
            numbers[kind][int(number)] = actor
    people = db.session.execute(select(User.id, User.email).where(User.id.in_(numbers["user"])))
    keys = db.session.execute(
        select(ApiKey.id, ApiKey.name, ApiKey.prefix).where(ApiKey.id.in_(numbers["key"]))
    )
    found = {numbers["user"][user_id]: email for user_id, email in people}
    return found | {numbers["key"][key_id]: name or f"{prefix}…" for key_id, name, prefix in keys}

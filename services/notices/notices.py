"""Telling an account's people something, once per crossing, in the unit of what happened."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from errors import InvalidRequest
from extensions import db
from models.accounts import Account, Membership, User
from models.catalog import CreditType
from models.notices import LowBalance, Notice, NoticeRead, NoticeSetting, OutboxMail, Unsubscribed
from services.audit import record
from services.clock import business_now, wall_now
from services.ledger.opening import lock_accounts
from services.notices.kinds import KINDS, Kind
from services.unit_of_work import atomic

MOST_COUNTED = 99


@dataclass(frozen=True, slots=True)
class NoticeView:
    """A notice as its reader sees it; ``facts`` are what its words are made from."""

    id: int
    account_id: int
    kind: str
    facts: dict[str, Any]
    created_at: datetime
    is_read: bool = True


@dataclass(frozen=True, slots=True)
class Wish:
    """What an account wants of a kind."""

    kind: Kind
    in_app: bool
    by_mail: bool


@dataclass(frozen=True, slots=True)
class Threshold:
    """Below how much of a credit type an account is warned. Units: the smallest of the type; None: never."""

    credit_type_id: int
    credit_type: str
    name: str
    scale: int
    units: int | None


@atomic
def notify(account_id: int, kind: str, dedupe_key: str, **facts: Any) -> bool:
    """Write a notice and queue its mails, in the caller's unit; once per key. Whether it is new."""
    lock_accounts(account_id)
    known = select(Notice.id).where(Notice.account_id == account_id, Notice.dedupe_key == dedupe_key)
    if db.session.scalar(known) is not None:
        return False
    wish = _wish(account_id, KINDS[kind])
    notice = Notice(
        account_id=account_id, kind=kind, dedupe_key=dedupe_key, facts=json.dumps(facts, sort_keys=True),
        is_shown=wish.in_app, created_at=business_now(),
    )  # fmt: skip
    db.session.add(notice)
    db.session.flush()
    if wish.by_mail:
        for address in recipients(account_id, kind):
            db.session.add(
                OutboxMail(
                    notice_id=notice.id, kind=kind, recipient=address, subject="", state="queued",
                    created_at=wall_now(), next_attempt_at=wall_now(),
                )
            )  # fmt: skip
        db.session.flush()
    return True


def recipients(account_id: int, kind: str) -> list[str]:
    """The account's own address and those of its owners, but for who does not want this kind."""
    owners = db.session.scalars(
        select(User.email)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.account_id == account_id, Membership.role == "owner", User.disabled_at.is_(None))
        .order_by(User.id)
    ).all()
    own = db.session.scalar(select(Account.email).where(Account.id == account_id))
    refused = set(
        db.session.scalars(
            select(Unsubscribed.address).where(
                Unsubscribed.account_id == account_id, Unsubscribed.kind == kind
            )
        )
    )
    addresses = {address.lower(): address for address in (own, *owners) if address}
    if KINDS[kind].is_about_money_owed:
        return list(addresses.values())
    return [address for lower, address in addresses.items() if lower not in refused]


def is_wanted(account_id: int, kind: str, address: str) -> bool:
    """Whether a mail of a kind may still go to an address: it is theirs yet, and nobody has declined it."""
    addresses = {each.lower() for each in recipients(account_id, kind)}
    return _wish(account_id, KINDS[kind]).by_mail and address.lower() in addresses


def _wish(account_id: int, kind: Kind) -> Wish:
    row = db.session.get(NoticeSetting, (account_id, kind.code))
    if row is None:
        return Wish(kind, kind.in_app, kind.by_mail)
    return Wish(kind, row.in_app, row.by_mail or kind.is_about_money_owed)


def wishes_of(account_id: int) -> list[Wish]:
    """What an account wants of every kind."""
    return [_wish(account_id, kind) for kind in KINDS.values()]


@atomic
def set_wishes(account_id: int, in_app: set[str], by_mail: set[str], actor: str) -> None:
    """Set which kinds an account wants in the app and by mail; mail about money owed goes out all the same."""
    for kind in KINDS.values():
        row = db.session.get(NoticeSetting, (account_id, kind.code))
        if row is None:
            row = NoticeSetting(account_id=account_id, kind=kind.code)
            db.session.add(row)
        row.in_app = kind.code in in_app
        row.by_mail = kind.code in by_mail or kind.is_about_money_owed
    record("notices.set", actor, account_id)


@atomic
def configure(
    account_id: int, in_app: set[str], by_mail: set[str], thresholds: dict[int, int | None], actor: str
) -> None:
    """Everything an account can set of its notices, in one unit. Raises InvalidRequest, and nothing is kept."""
    set_wishes(account_id, in_app, by_mail, actor)
    for credit_type_id, units in thresholds.items():
        set_threshold(account_id, credit_type_id, units, actor)


def thresholds_of(account_id: int) -> list[Threshold]:
    """Below how much of each credit type the account is warned."""
    kept = {
        row.credit_type_id: row.threshold
        for row in db.session.scalars(select(LowBalance).where(LowBalance.account_id == account_id))
    }
    types = db.session.scalars(select(CreditType).order_by(CreditType.position, CreditType.id))
    return [Threshold(t.id, t.code, t.name, t.scale, kept.get(t.id)) for t in types]


@atomic
def set_threshold(account_id: int, credit_type_id: int, units: int | None, actor: str) -> None:
    """Warn below so many units of a credit type; None: not at all. Raises InvalidRequest."""
    row = db.session.get(LowBalance, (account_id, credit_type_id))
    if units is None:
        if row is not None:
            db.session.delete(row)
        return
    if not 0 < units < 10**15:
        raise InvalidRequest.of("threshold", "must be more than zero")
    if row is not None and row.threshold == units:
        return
    if row is None:
        row = LowBalance(account_id=account_id, credit_type_id=credit_type_id)
        db.session.add(row)
    row.threshold = units
    record("notices.threshold_set", actor, account_id, units=units)


def notices_of(
    account_id: int, user_id: int, *, older_than: int | None = None, limit: int = 25
) -> list[NoticeView]:
    """An account's notices, newest first."""
    read_up_to = _read_up_to(account_id, user_id)
    wanted = select(Notice).where(Notice.account_id == account_id, Notice.is_shown)
    if older_than is not None:
        wanted = wanted.where(Notice.id < older_than)
    rows = db.session.scalars(wanted.order_by(Notice.id.desc()).limit(limit))
    return [view_of(row, is_read=row.id <= read_up_to) for row in rows]


def view_of(row: Notice, *, is_read: bool = True) -> NoticeView:
    """A notice in plain values."""
    return NoticeView(row.id, row.account_id, row.kind, json.loads(row.facts), row.created_at, is_read)


def unread_count(account_id: int, user_id: int) -> int:
    """How many notices a person has not read, up to 99."""
    newer = (
        select(Notice.id)
        .where(Notice.account_id == account_id, Notice.is_shown, Notice.id > _read_up_to(account_id, user_id))
        .limit(MOST_COUNTED)
    )
    return db.session.scalar(select(func.count()).select_from(newer.subquery())) or 0


@atomic
def mark_read(account_id: int, user_id: int) -> None:
    """Every notice there is now has been read. Idempotent."""
    newest = db.session.scalar(select(func.max(Notice.id)).where(Notice.account_id == account_id)) or 0
    row = db.session.get(NoticeRead, (user_id, account_id))
    if row is None:
        db.session.add(NoticeRead(user_id=user_id, account_id=account_id, read_up_to=newest))
    else:
        row.read_up_to = max(row.read_up_to, newest)


def _read_up_to(account_id: int, user_id: int) -> int:
    return db.session.scalar(
        select(NoticeRead.read_up_to).where(
            NoticeRead.account_id == account_id, NoticeRead.user_id == user_id
        )
    ) or 0  # fmt: skip


@atomic
def unsubscribe(account_id: int, kind: str, address: str) -> bool:
    """Send an address no more mails of a kind. Idempotent. Whether that may be: not of money that is owed."""
    if kind not in KINDS or KINDS[kind].is_about_money_owed:
        return False
    key = (account_id, kind, address.lower())
    if db.session.get(Account, account_id) is not None and db.session.get(Unsubscribed, key) is None:
        db.session.add(
            Unsubscribed(account_id=account_id, kind=kind, address=address.lower(), created_at=wall_now())
        )
    return True

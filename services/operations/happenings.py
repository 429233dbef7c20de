"""What happened while the product's clock went from one instant to another: sums, and the newest by name."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from extensions import db
from models.accounts import Account
from models.billing import Payment, Subscription
from models.catalog import CreditType, Plan
from models.inbox import InboxEvent
from models.ledger import Transaction

RENEWAL = "subscription"
PAID = ("paid", "partially_refunded", "refunded", "disputed")
INCOMING = ("subscription", "purchase", "overage", "bonus")
DECLINED = ("invoice.payment_failed",)


@dataclass(frozen=True, slots=True)
class Sums:
    """How many of each. ``declined``: attempts to charge that the bank refused, as the provider told them."""

    renewals: int
    charges: int
    declined: int
    granted: int
    expired: int
    plans_ended: int


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing. ``kind``: paid, failed, ended, or the kind of a line of the journal.

    A payment's ``amount`` is in minor units of ``currency``; a line's in units of a type of ``scale``.
    """

    at: datetime
    slug: str
    account: str
    kind: str
    what: str
    amount: int = 0
    currency: str | None = None
    scale: int = 0
    is_money: bool = False


def sums(since: datetime, until: datetime, told_since: datetime, told_until: datetime) -> Sums:
    """Counts between two instants of the product's clock. ``told_…`` are the wall's, by which events came."""
    paid = dict(
        db.session.execute(
            select(Payment.kind == RENEWAL, func.count())
            .where(Payment.paid_at > since, Payment.paid_at <= until, Payment.status.in_(PAID))
            .group_by(Payment.kind == RENEWAL)
        ).all()
    )
    lines = dict(
        db.session.execute(
            select(Transaction.type, func.count())
            .where(Transaction.created_at > since, Transaction.created_at <= until)
            .where(Transaction.type.in_((*INCOMING, "expiry")))
            .group_by(Transaction.type)
        ).all()
    )
    return Sums(
        renewals=paid.get(True, 0),
        charges=paid.get(False, 0),
        declined=_declined(told_since, told_until),
        granted=sum(lines.get(kind, 0) for kind in INCOMING),
        expired=lines.get("expiry", 0),
        plans_ended=_plans_ended(since, until),
    )


def newest(since: datetime, until: datetime, limit: int = 50) -> list[Happening]:
    """The newest things between two instants, newest first."""
    found = [
        *_payments(since, until, limit),
        *_lines(since, until, limit),
        *_ended_plans(since, until, limit),
    ]
    return sorted(found, key=lambda happening: happening.at, reverse=True)[:limit]


def _declined(since: datetime, until: datetime) -> int:
    return db.session.scalar(
        select(func.count())
        .select_from(InboxEvent)
        .where(InboxEvent.type.in_(DECLINED), InboxEvent.received_at.between(since, until))
    ) or 0  # fmt: skip


def _plans_ended(since: datetime, until: datetime) -> int:
    ended = Subscription.ended_at
    query = select(func.count()).select_from(Subscription).where(ended > since, ended <= until)
    return db.session.scalar(query) or 0


def _payments(since: datetime, until: datetime, limit: int) -> list[Happening]:
    moment = func.coalesce(Payment.paid_at, Payment.created_at)
    rows = db.session.execute(
        select(Payment, Account.slug, Account.name)
        .join(Account, Account.id == Payment.account_id)
        .where(moment > since, moment <= until)
        .order_by(moment.desc(), Payment.id.desc())
        .limit(limit)
    )
    return [
        Happening(
            payment.paid_at or payment.created_at, slug, name,
            "paid" if payment.status in PAID else payment.status,
            payment.description, payment.amount_cents, payment.currency,
        )
        for payment, slug, name in rows
    ]  # fmt: skip


def _lines(since: datetime, until: datetime, limit: int) -> list[Happening]:
    rows = db.session.execute(
        select(Transaction, Account.slug, Account.name, CreditType)
        .join(Account, Account.id == Transaction.account_id)
        .join(CreditType, CreditType.id == Transaction.credit_type_id)
        .where(Transaction.created_at > since, Transaction.created_at <= until)
        .where(Transaction.type.in_((*INCOMING, "expiry")))
        .order_by(Transaction.created_at.desc(), Transaction.id.desc())
        .limit(limit)
    )
    return [
        Happening(
            line.created_at, slug, name, line.type, counted.name, line.amount, counted.currency,
            counted.scale, counted.is_money,
        )
        for line, slug, name, counted in rows
    ]  # fmt: skip


def _ended_plans(since: datetime, until: datetime, limit: int) -> list[Happening]:
    ended = Subscription.ended_at
    rows = db.session.execute(
        select(ended, Account.slug, Account.name, Plan.name)
        .join(Account, Account.id == Subscription.account_id)
        .join(Plan, Plan.id == Subscription.plan_id)
        .where(ended > since, ended <= until)
        .order_by(ended.desc())
        .limit(limit)
    )
    return [Happening(at, slug, account, "ended", plan) for at, slug, account, plan in rows]

"""The instance in figures: credits outstanding, money that came in, what failed, what is about to expire."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import BigInteger, func, select, type_coerce

from extensions import db
from models.accounts import Account
from models.billing import Order, Payment
from models.catalog import CreditType
from models.inbox import InboxEvent
from models.ledger import Balance, Grant
from models.outgoing import WebhookEndpoint
from services.clock import business_now
from services.events.endpoints import IS_GIVEN_UP

DAYS = 30
SOON = timedelta(days=7)
DAY_MICROSECONDS = 86_400_000_000
SETTLED = ("paid", "partially_refunded", "refunded", "disputed")


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What customers hold of a credit type, in its smallest units; ``expiring`` within seven days."""

    credit_type: str
    name: str
    scale: int
    is_money: bool
    currency: str | None
    balance: int
    held: int
    expiring: int


@dataclass(frozen=True, slots=True)
class Revenue:
    """Money of one currency that came in over the last days, less what was given back. Minor units."""

    currency: str
    paid_cents: int
    refunded_cents: int
    payments: int
    by_day: tuple[tuple[date, int], ...]

    @property
    def net_cents(self) -> int:
        """What stayed."""
        return self.paid_cents - self.refunded_cents


@dataclass(frozen=True, slots=True)
class Attention:
    """What wants an operator: how many of each."""

    failed_payments: int
    failed_events: int
    flagged_orders: int
    parked_accounts: int
    past_due_accounts: int
    disabled_endpoints: int


def credits_outstanding() -> list[Outstanding]:
    """By credit type, in the order of the screen."""
    expiring = dict(
        db.session.execute(
            select(Grant.credit_type_id, func.sum(Grant.remaining))
            .where(
                Grant.remaining > 0,
                Grant.expires_at > business_now(),
                Grant.expires_at <= business_now() + SOON,
            )
            .group_by(Grant.credit_type_id)
        ).all()
    )
    rows = db.session.execute(
        select(
            CreditType, func.coalesce(func.sum(Balance.balance), 0), func.coalesce(func.sum(Balance.held), 0)
        )
        .outerjoin(Balance, Balance.credit_type_id == CreditType.id)
        .group_by(CreditType.id)
        .order_by(CreditType.position, CreditType.id)
    )
    return [
        Outstanding(
            kind.code, kind.name, kind.scale, kind.is_money, kind.currency, int(balance), int(held),
            int(expiring.get(kind.id, 0)),
        )
        for kind, balance, held in rows
    ]  # fmt: skip


def revenue(days: int = DAYS) -> list[Revenue]:
    """By currency, over the last days (UTC), the one that brought most first."""
    today = business_now().date()
    first = today - timedelta(days=days - 1)
    since = datetime.combine(first, datetime.min.time(), business_now().tzinfo)
    day_number = type_coerce(Payment.paid_at, BigInteger).op("/")(DAY_MICROSECONDS)
    rows = db.session.execute(
        select(
            Payment.currency, day_number.label("day"), func.sum(Payment.amount_cents),
            func.sum(Payment.refunded_cents), func.count(Payment.id),
        )
        .where(Payment.status.in_(SETTLED), Payment.paid_at >= since)
        .group_by(Payment.currency, day_number)
    ).all()  # fmt: skip
    found = [
        _of_currency([row for row in rows if row[0] == currency], currency, first, days)
        for currency in {row[0] for row in rows}
    ]
    return sorted(found, key=lambda one: -one.net_cents)


def _of_currency(
    rows: list[tuple[str, int, int, int, int]], currency: str, first: date, days: int
) -> Revenue:
    by_number = {int(row[1]): int(row[2]) for row in rows}
    start = (first - date(1970, 1, 1)).days
    by_day = tuple((first + timedelta(days=n), by_number.get(start + n, 0)) for n in range(days))
    return Revenue(
        currency, sum(int(row[2]) for row in rows), sum(int(row[3]) for row in rows),
        sum(int(row[4]) for row in rows), by_day,
    )  # fmt: skip


def attention() -> Attention:
    """What wants an operator now; failed payments of the last days."""
    since = business_now() - timedelta(days=DAYS)

    def count(query: object) -> int:
        return db.session.scalar(query) or 0  # type: ignore[call-overload]

    return Attention(
        count(select(func.count(Payment.id)).where(Payment.status == "failed", Payment.created_at >= since)),
        count(select(func.count(InboxEvent.id)).where(InboxEvent.state == "failed")),
        count(select(func.count(Order.id)).where(Order.status == "flagged")),
        count(select(func.count(Account.id)).where(Account.status == "parked")),
        count(select(func.count(Account.id)).where(Account.status == "past_due")),
        count(select(func.count(WebhookEndpoint.id)).where(IS_GIVEN_UP)),
    )

"""What an account has paid: reads."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from extensions import db
from models.billing import Payment


@dataclass(frozen=True, slots=True)
class PaymentView:
    """A payment as its payer sees it. Units: cents are minor units of the currency, tax included."""

    id: str
    description: str
    plan: str | None
    amount_cents: int
    refunded_cents: int
    currency: str
    status: str
    failure: str | None
    invoice_url: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """Some of an account's payments, newest first, and how many there are."""

    payments: list[PaymentView]
    total: int
    limit: int
    offset: int

    @property
    def has_more(self) -> bool:
        """Whether older ones follow."""
        return self.offset + len(self.payments) < self.total


def payments_of(account_id: int, limit: int = 50, offset: int = 0) -> PaymentPage:
    """An account's payments, newest first."""
    total = db.session.scalar(select(func.count(Payment.id)).where(Payment.account_id == account_id))
    rows = db.session.scalars(
        select(Payment)
        .where(Payment.account_id == account_id)
        .order_by(Payment.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return PaymentPage([_view(row) for row in rows], total or 0, limit, offset)


def _view(row: Payment) -> PaymentView:
    return PaymentView(
        id=row.public_id,
        description=row.description,
        plan=row.plan.code if row.plan else None,
        amount_cents=row.amount_cents,
        refunded_cents=row.refunded_cents,
        currency=row.currency,
        status=row.status,
        failure=row.failure,
        invoice_url=row.invoice_url,
        created_at=row.created_at,
    )

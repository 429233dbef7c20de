"""What an account has paid: reads."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from errors import NotFound
from extensions import db
from models.accounts import Account
from models.billing import Dispute, Payment, RefundRequest
from models.catalog import CreditType
from models.ledger import Grant
from services.unit_of_work import atomic


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
    hosted_invoice_url: str | None
    is_paid: bool
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
        hosted_invoice_url=row.hosted_invoice_url if row.status in ("failed", "pending") else None,
        is_paid=row.paid_at is not None,
        created_at=row.created_at,
    )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receipt says. Units: cents are minor units, tax included."""

    number: str
    description: str
    amount_cents: int
    tax_cents: int
    refunded_cents: int
    currency: str
    email: str | None
    paid_at: datetime
    period_start: datetime | None
    period_end: datetime | None


@atomic
def receipt_of(account_id: int, public_id: str) -> Receipt | None:
    """The receipt of a payment of the account; None where there is none, or nothing was paid.

    Its number is given once and never changes: R and the number of the payment.
    """
    row = db.session.scalar(
        select(Payment).where(Payment.public_id == public_id, Payment.account_id == account_id)
    )
    if row is None or row.paid_at is None:
        return None
    if row.receipt_number is None:
        row.receipt_number = f"R-{row.id:06d}"
    return Receipt(
        row.receipt_number, row.description, row.amount_cents, row.tax_cents, row.refunded_cents, row.currency,
        db.session.get_one(Account, account_id).email, row.paid_at, row.period_start, row.period_end,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BoughtLot:
    """A lot that a payment brought. Units: smallest units of the credit type.

    ``unrecovered``: what was refunded but had been spent already.
    """

    grant_id: int
    credit_type: str
    scale: int
    is_money: bool
    currency: str | None
    amount: int
    remaining: int
    held: int
    revoked: int
    unrecovered: int


@dataclass(frozen=True, slots=True)
class RefundView:
    """A refund that was asked for. Units: minor units."""

    amount_cents: int
    reason: str
    status: str
    error: str | None
    actor: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DisputeView:
    """A dispute of a payment. Units: minor units."""

    stripe_dispute_id: str
    amount_cents: int
    status: str
    reason: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentDetails:
    """A payment as an operator sees it."""

    payment: PaymentView
    lots: list[BoughtLot]
    refunds: list[RefundView]
    disputes: list[DisputeView]

    @property
    def left_cents(self) -> int:
        """What can still be given back. Minor units."""
        asked = sum(refund.amount_cents for refund in self.refunds if refund.status == "asked")
        return self.payment.amount_cents - self.payment.refunded_cents - asked

    @property
    def may_refund(self) -> bool:
        """Whether there is something to give back and nobody disputes it."""
        return self.payment.status in ("paid", "partially_refunded") and self.left_cents > 0


def payment_details(account_id: int, public_id: str) -> PaymentDetails:
    """One payment with its lots, refunds and disputes. Raises NotFound."""
    row = db.session.scalar(
        select(Payment).where(Payment.public_id == public_id, Payment.account_id == account_id)
    )
    if row is None:
        raise NotFound("There is no such payment.")
    lots = db.session.execute(
        select(
            Grant.id, CreditType.code, CreditType.scale, CreditType.is_money, CreditType.currency,
            Grant.amount, Grant.remaining, Grant.held, Grant.revoked, Grant.unrecovered,
        )
        .join(CreditType, CreditType.id == Grant.credit_type_id)
        .where(Grant.payment_id == row.id)
        .order_by(Grant.id)
    )  # fmt: skip
    refunds = db.session.scalars(
        select(RefundRequest).where(RefundRequest.payment_id == row.id).order_by(RefundRequest.id)
    )
    disputes = db.session.scalars(select(Dispute).where(Dispute.payment_id == row.id).order_by(Dispute.id))
    return PaymentDetails(
        _view(row),
        [BoughtLot(*lot) for lot in lots],
        [RefundView(r.amount_cents, r.reason, r.status, r.error, r.actor, r.created_at) for r in refunds],
        [DisputeView(d.stripe_dispute_id, d.amount_cents, d.status, d.reason, d.opened_at) for d in disputes],
    )

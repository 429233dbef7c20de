"""Orders, payments and subscriptions: what customers asked for and what they paid."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, RowId, one_of
from models.catalog import CreditType, Package, Plan

ORDER_KINDS = ("package", "funds", "subscription", "card")
PAYMENT_KINDS = ("package", "funds", "subscription", "overage", "top_up", "manual")
ORDER_STATUSES = ("pending", "open", "paid", "expired", "flagged")
PAYMENT_STATUSES = ("pending", "paid", "failed", "refunded", "partially_refunded", "disputed")
DISPUTE_STATUSES = ("inquiry", "open", "won", "lost")
REFUND_STATUSES = ("asked", "done", "failed")
SUBSCRIPTION_STATUSES = ("comped", "trialing", "active", "past_due", "canceled", "incomplete")
ENTITLING_STATUSES = ("comped", "trialing", "active", "past_due")


class Order(Base):
    """A purchase that was begun: a snapshot of what is bought and for how much."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("account_id", "request_key"),
        CheckConstraint(one_of("status", ORDER_STATUSES), name="status"),
        CheckConstraint(one_of("kind", ORDER_KINDS), name="kind"),
        CheckConstraint("credits > 0 OR kind IN ('subscription', 'card')", name="credits"),
        CheckConstraint("price_cents > 0 OR kind IN ('subscription', 'card')", name="price"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True, comment="Random; what Stripe is told")
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), index=True)
    kind: Mapped[str] = mapped_column(String(12), default="package")
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("plans.id", ondelete="RESTRICT"))
    interval: Mapped[str | None] = mapped_column(String(5), comment="month or year, of a subscription")
    package_id: Mapped[int | None] = mapped_column(ForeignKey("packages.id", ondelete="RESTRICT"))
    credit_type_id: Mapped[int] = mapped_column(ForeignKey("credit_types.id", ondelete="RESTRICT"))
    credits: Mapped[int] = mapped_column(BigInteger, comment="Smallest units of the type")
    price_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units")
    currency: Mapped[str] = mapped_column(String(3))
    description: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(320))
    status: Mapped[str] = mapped_column(String(10), default="pending")
    request_key: Mapped[str] = mapped_column(
        String(255), comment="Idempotency key or form token: one form, one order"
    )
    stripe_session_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    checkout_url: Mapped[str | None] = mapped_column(Text)
    success_url: Mapped[str] = mapped_column(Text, default="")
    cancel_url: Mapped[str] = mapped_column(Text, default="")
    actor: Mapped[str] = mapped_column(String(80))
    flag: Mapped[str | None] = mapped_column(Text, comment="Why it was not fulfilled, for the operator")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True, comment="When the Checkout Session ends")
    closed_at: Mapped[datetime | None]

    package: Mapped[Package | None] = relationship()
    plan: Mapped[Plan | None] = relationship()
    credit_type: Mapped[CreditType] = relationship()


class Payment(Base):
    """Money that came in, once per Checkout Session and per payment intent."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint(one_of("status", PAYMENT_STATUSES), name="status"),
        CheckConstraint(one_of("kind", PAYMENT_KINDS), name="kind"),
        CheckConstraint("amount_cents >= 0", name="amount"),
        CheckConstraint("tax_cents BETWEEN 0 AND amount_cents", name="tax"),
        CheckConstraint("refunded_cents BETWEEN 0 AND amount_cents", name="refunded"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id", ondelete="RESTRICT"), unique=True)
    kind: Mapped[str] = mapped_column(String(12), default="package")
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("plans.id", ondelete="RESTRICT"))
    subscription_id: Mapped[int | None] = mapped_column(ForeignKey("subscriptions.id", ondelete="RESTRICT"))
    period_start: Mapped[datetime | None] = mapped_column(comment="What a subscription's payment pays for")
    period_end: Mapped[datetime | None] = mapped_column(comment="Exclusive")
    stripe_invoice_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    receipt_number: Mapped[str | None] = mapped_column(String(40), unique=True, comment="Ours, once paid")
    stripe_session_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    stripe_payment_intent_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    outside_reference: Mapped[str | None] = mapped_column(String(255), unique=True)
    description: Mapped[str] = mapped_column(String(200))
    amount_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units, tax included")
    tax_cents: Mapped[int] = mapped_column(BigInteger, default=0)
    refunded_cents: Mapped[int] = mapped_column(BigInteger, default=0, comment="Minor units, cumulative")
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[str] = mapped_column(String(20))
    failure: Mapped[str | None] = mapped_column(String(500), comment="In words for the customer")
    invoice_url: Mapped[str | None] = mapped_column(Text, comment="The provider's invoice as PDF")
    hosted_invoice_url: Mapped[str | None] = mapped_column(Text, comment="Where an unpaid one can be paid")
    created_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    receipt_told_at: Mapped[datetime | None] = mapped_column(comment="Wall clock; its receipt was announced")

    plan: Mapped[Plan | None] = relationship()


_payment = Payment.__table__.c
Index(
    "ix_payments_receipt_due",
    _payment.id,
    sqlite_where=text("paid_at IS NOT NULL AND receipt_told_at IS NULL"),
    postgresql_where=text("paid_at IS NOT NULL AND receipt_told_at IS NULL"),
)
Index("ix_payments_account", _payment.account_id, _payment.id)


class Dispute(Base):
    """A payment that the payer's bank wants back: the provider's dispute, and how it stands."""

    __tablename__ = "disputes"
    __table_args__ = (
        CheckConstraint(one_of("status", DISPUTE_STATUSES), name="status"),
        CheckConstraint("amount_cents >= 0", name="amount"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    stripe_dispute_id: Mapped[str] = mapped_column(String(255), unique=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey("payments.id", ondelete="RESTRICT"), index=True)
    amount_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units")
    status: Mapped[str] = mapped_column(String(10), comment="inquiry: asked about, no money taken yet")
    reason: Mapped[str] = mapped_column(String(80), default="")
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class RefundRequest(Base):
    """Money that an operator gives back: written down before the provider is asked."""

    __tablename__ = "refund_requests"
    __table_args__ = (
        UniqueConstraint("payment_id", "request_key"),
        CheckConstraint(one_of("status", REFUND_STATUSES), name="status"),
        CheckConstraint("amount_cents > 0", name="amount"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True, comment="Random; what Stripe is told")
    payment_id: Mapped[int] = mapped_column(ForeignKey("payments.id", ondelete="RESTRICT"), index=True)
    request_key: Mapped[str] = mapped_column(String(255), comment="One form or key, one refund")
    amount_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units")
    reason: Mapped[str] = mapped_column(String(200), default="")
    status: Mapped[str] = mapped_column(String(10), default="asked")
    stripe_refund_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    error: Mapped[str | None] = mapped_column(String(500))
    actor: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime]


class Subscription(Base):
    """The plan an account is on; at most one open at a time."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        CheckConstraint(one_of("status", SUBSCRIPTION_STATUSES), name="status"),
        CheckConstraint("\"interval\" IN ('month', 'year')", name="interval"),
        CheckConstraint("(pending_plan_id IS NULL) = (pending_interval IS NULL)", name="pending_is_whole"),
        Index(
            "uq_subscriptions_one_open",
            "account_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), index=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("plans.id", ondelete="RESTRICT"))
    status: Mapped[str] = mapped_column(String(12))
    interval: Mapped[str] = mapped_column(String(5), default="month")
    actor: Mapped[str] = mapped_column(String(80))
    stripe_subscription_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    started_at: Mapped[datetime]
    anchor_at: Mapped[datetime] = mapped_column(comment="Months of credits and meters are counted from here")
    current_period_start: Mapped[datetime]
    current_period_end: Mapped[datetime | None] = mapped_column(comment="Exclusive; null: open-ended")
    cancel_at_period_end: Mapped[bool] = mapped_column(default=False)
    pending_plan_id: Mapped[int | None] = mapped_column(
        ForeignKey("plans.id", ondelete="RESTRICT"), comment="The plan it goes on with after the period"
    )
    pending_interval: Mapped[str | None] = mapped_column(String(5))
    past_due_since: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    readings: Mapped[int] = mapped_column(default=0, comment="How often it was made what Stripe says")

    plan: Mapped[Plan] = relationship(foreign_keys=[plan_id])
    pending_plan: Mapped[Plan | None] = relationship(foreign_keys=[pending_plan_id])


class SubscriptionMonth(Base):
    """A month of a subscription whose credits were granted: once each."""

    __tablename__ = "subscription_months"
    __table_args__ = (CheckConstraint("ends_at > starts_at", name="half_open"),)

    subscription_id: Mapped[int] = mapped_column(
        ForeignKey("subscriptions.id", ondelete="RESTRICT"), primary_key=True
    )
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    ends_at: Mapped[datetime] = mapped_column(comment="Exclusive")
    grant_id: Mapped[int] = mapped_column(ForeignKey("grants.id", ondelete="RESTRICT"))


class UpgradeCredit(Base):
    """Credits granted for the rest of a month because of an upgrade: once per month and plan."""

    __tablename__ = "upgrade_credits"

    subscription_id: Mapped[int] = mapped_column(
        ForeignKey("subscriptions.id", ondelete="RESTRICT"), primary_key=True
    )
    month_starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("plans.id", ondelete="RESTRICT"), primary_key=True)
    grant_id: Mapped[int] = mapped_column(ForeignKey("grants.id", ondelete="RESTRICT"))


class SavedCard(Base):
    """The card an account is charged with, as Stripe shows it; the number itself never comes here."""

    __tablename__ = "saved_cards"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
    )
    stripe_payment_method_id: Mapped[str] = mapped_column(String(255), unique=True)
    brand: Mapped[str] = mapped_column(String(40))
    last4: Mapped[str] = mapped_column(String(4))
    exp_month: Mapped[int]
    exp_year: Mapped[int]
    consented_at: Mapped[datetime | None] = mapped_column(comment="Wall clock; to be charged when absent")
    consented_by: Mapped[str | None] = mapped_column(String(80), comment="Actor")
    updated_at: Mapped[datetime] = mapped_column(comment="Wall clock")

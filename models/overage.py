"""Credits bought now and paid later: purchases, the charges that demand their money, agencies' statements."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.agencies import SETTLEMENT_MODES
from models.base import Base, RowId, append_only, one_of
from models.catalog import CreditType

CHARGE_KINDS = ("client", "agency")
CHARGE_STATUSES = (
    "pending", "charging", "charged", "failed", "requires_action", "unknown", "written_off", "paid_outside",
)  # fmt: skip
OPEN_CHARGES = ("pending", "charging", "failed", "requires_action", "unknown")
SETTLED_CHARGES = ("charged", "paid_outside")
ATTEMPT_STATUSES = ("begun", "paid", "declined", "requires_action", "unknown")
LINE_KINDS = ("purchase", "collected", "refund", "shortfall")


class OverageOrder(Base):
    """One confirmation by a client: its purchases, and the answer that it was given."""

    __tablename__ = "overage_orders"
    __table_args__ = (UniqueConstraint("account_id", "request_key"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    request_key: Mapped[str] = mapped_column(String(255), comment="One form or key, one order")
    request_hash: Mapped[str] = mapped_column(String(64), comment="SHA-256 of what was asked for")
    total_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units")
    currency: Mapped[str] = mapped_column(String(3))
    actor: Mapped[str] = mapped_column(String(80))
    purchased_at: Mapped[datetime]

    purchases: Mapped[list["OveragePurchase"]] = relationship(
        back_populates="order", order_by="OveragePurchase.id"
    )


class OveragePurchase(Base):
    """Credits of one type bought in an order: granted at once, charged at the end of the cycle."""

    __tablename__ = "overage_credit_purchases"
    __table_args__ = (
        UniqueConstraint("order_id", "credit_type_id"),
        CheckConstraint("credits > 0", name="credits"),
        CheckConstraint("unit_price_cents >= 0 AND price_cents >= 0", name="price"),
        CheckConstraint("unit_cost_cents >= 0 AND cost_cents >= 0", name="cost"),
        CheckConstraint("refunded_cents BETWEEN 0 AND price_cents", name="refunded"),
        CheckConstraint(one_of("settlement_mode", SETTLEMENT_MODES), name="settlement_mode"),
        Index("ix_overage_credit_purchases_client", "client_account_id", "id"),
        Index(
            "ix_overage_credit_purchases_due", "charge_at",
            sqlite_where=text("billed_to_client_at IS NULL AND charge_id IS NULL"),
            postgresql_where=text("billed_to_client_at IS NULL AND charge_id IS NULL"),
        ),
        Index("ix_overage_credit_purchases_agency", "agency_account_id", "purchased_at"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("overage_orders.id", ondelete="RESTRICT"))
    client_account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    agency_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    credit_type_id: Mapped[int] = mapped_column(ForeignKey("credit_types.id", ondelete="RESTRICT"))
    credits: Mapped[int] = mapped_column(BigInteger, comment="Smallest units of the type")
    unit_price_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units a whole credit")
    price_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units, what the client owes")
    unit_cost_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units a whole credit")
    cost_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units, what it costs the agency")
    currency: Mapped[str] = mapped_column(String(3))
    settlement_mode: Mapped[str] = mapped_column(String(12), comment="The agency's when it was bought")
    grant_id: Mapped[int] = mapped_column(ForeignKey("grants.id", ondelete="RESTRICT"), unique=True)
    purchased_at: Mapped[datetime]
    charge_at: Mapped[datetime] = mapped_column(comment="The end of the client's cycle")
    charge_id: Mapped[int | None] = mapped_column(ForeignKey("charges.id", ondelete="RESTRICT"), index=True)
    billed_to_client_at: Mapped[datetime | None] = mapped_column(comment="Paid, or handed over to the agency")
    billed_to_agency_at: Mapped[datetime | None] = mapped_column(comment="Settled with the agency")
    written_off_at: Mapped[datetime | None]
    refunded_cents: Mapped[int] = mapped_column(BigInteger, default=0, comment="Of the price, given back")
    statement_id: Mapped[int | None] = mapped_column(
        ForeignKey("statements.id", ondelete="RESTRICT"), index=True, comment="The one that lists it"
    )
    margin_statement_id: Mapped[int | None] = mapped_column(
        ForeignKey("statements.id", ondelete="RESTRICT"), comment="The one that pays its margin out"
    )

    order: Mapped[OverageOrder] = relationship(back_populates="purchases")
    credit_type: Mapped[CreditType] = relationship()


class Charge(Base):
    """A demand for money: of a client for a cycle's purchases, or of an agency for their cost."""

    __tablename__ = "charges"
    __table_args__ = (
        CheckConstraint(one_of("kind", CHARGE_KINDS), name="kind"),
        CheckConstraint(one_of("status", CHARGE_STATUSES), name="status"),
        CheckConstraint("amount_cents >= 0", name="amount"),
        CheckConstraint("application_fee_cents BETWEEN 0 AND amount_cents", name="application_fee"),
        Index("ix_charges_account", "account_id", "id"),
        Index("ix_charges_next", "status", "next_attempt_at"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True, comment="Random; what Stripe is told")
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    kind: Mapped[str] = mapped_column(String(8), default="client")
    status: Mapped[str] = mapped_column(String(16), default="pending")
    amount_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units")
    currency: Mapped[str] = mapped_column(String(3))
    lines: Mapped[str] = mapped_column(Text, comment="JSON: [[description, minor units]], as invoiced")
    destination: Mapped[str | None] = mapped_column(String(255), comment="The agency's connected account")
    application_fee_cents: Mapped[int] = mapped_column(BigInteger, default=0, comment="Minor units")
    cycle_end: Mapped[datetime] = mapped_column(comment="Of what it charges")
    stripe_customer_id: Mapped[str | None] = mapped_column(String(255), comment="Told at the first attempt")
    stripe_invoice_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    hosted_invoice_url: Mapped[str | None] = mapped_column(Text)
    first_asked_at: Mapped[datetime | None] = mapped_column(
        comment="Wall clock: the provider forgets keys a day later"
    )
    claimed_until: Mapped[datetime | None] = mapped_column(comment="Wall clock: somebody is at it")
    retries: Mapped[int] = mapped_column(default=0, comment="Declines so far on the dunning schedule")
    next_attempt_at: Mapped[datetime | None] = mapped_column(comment="Null: nothing is tried by itself")
    failing_since: Mapped[datetime | None]
    failure: Mapped[str | None] = mapped_column(String(500), comment="In words for the customer")
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payments.id", ondelete="RESTRICT"))
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(80), comment="Actor")
    closed_because: Mapped[str | None] = mapped_column(String(500))

    attempts: Mapped[list["ChargeAttempt"]] = relationship(
        back_populates="charge", order_by="ChargeAttempt.number"
    )


class ChargeAttempt(Base):
    """One try to have a charge paid: its key and parameters are there before the provider is asked."""

    __tablename__ = "charge_attempts"
    __table_args__ = (
        UniqueConstraint("charge_id", "number"),
        CheckConstraint(one_of("status", ATTEMPT_STATUSES), name="status"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    charge_id: Mapped[int] = mapped_column(ForeignKey("charges.id", ondelete="RESTRICT"))
    number: Mapped[int]
    idempotency_key: Mapped[str] = mapped_column(String(80), unique=True)
    parameters: Mapped[str] = mapped_column(Text, comment="JSON: exactly what the provider is asked")
    status: Mapped[str] = mapped_column(String(16), default="begun")
    answer: Mapped[str | None] = mapped_column(String(500), comment="What the provider said")
    actor: Mapped[str] = mapped_column(String(80))
    started_at: Mapped[datetime]
    asked_at: Mapped[datetime] = mapped_column(comment="Wall clock")
    finished_at: Mapped[datetime | None]

    charge: Mapped[Charge] = relationship(back_populates="attempts")


class Statement(Base):
    """What an agency owes or is owed for one of its cycles: frozen when it is issued."""

    __tablename__ = "statements"
    __table_args__ = (
        UniqueConstraint("agency_account_id", "cycle_start"),
        CheckConstraint("cycle_end > cycle_start", name="half_open"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    agency_account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    cycle_start: Mapped[datetime]
    cycle_end: Mapped[datetime] = mapped_column(comment="Exclusive")
    currency: Mapped[str] = mapped_column(String(3))
    due_to_agency_cents: Mapped[int] = mapped_column(
        BigInteger, comment="Minor units: margin on collected money, less what goes back"
    )
    charged_to_agency_cents: Mapped[int] = mapped_column(
        BigInteger, default=0, comment="Minor units: the cost of what it bills itself"
    )
    charge_id: Mapped[int | None] = mapped_column(ForeignKey("charges.id", ondelete="RESTRICT"))
    issued_at: Mapped[datetime]

    lines: Mapped[list["StatementLine"]] = relationship(order_by="StatementLine.id")


append_only(Statement.__table__, "id")  # type: ignore[arg-type]


class StatementLine(Base):
    """What a statement says of one client and credit type."""

    __tablename__ = "statement_lines"
    __table_args__ = (CheckConstraint(one_of("kind", LINE_KINDS), name="kind"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    statement_id: Mapped[int] = mapped_column(ForeignKey("statements.id", ondelete="RESTRICT"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    client_account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    client_name: Mapped[str] = mapped_column(String(200))
    credit_type_id: Mapped[int] = mapped_column(ForeignKey("credit_types.id", ondelete="RESTRICT"))
    settlement_mode: Mapped[str] = mapped_column(String(12))
    credits: Mapped[int] = mapped_column(BigInteger, comment="Smallest units of the type")
    price_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units")
    cost_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units")
    collected_cents: Mapped[int] = mapped_column(BigInteger, comment="Of the price, minor units")
    due_cents: Mapped[int] = mapped_column(BigInteger, comment="To the agency; negative: from it")

    credit_type: Mapped[CreditType] = relationship()


append_only(StatementLine.__table__, "id")  # type: ignore[arg-type]


class StatementSettlement(Base):
    """A statement that was paid out or paid: once."""

    __tablename__ = "statement_settlements"

    statement_id: Mapped[int] = mapped_column(
        ForeignKey("statements.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
    )
    reference: Mapped[str] = mapped_column(String(200), default="", comment="Of the bank transfer, say")
    settled_by: Mapped[str] = mapped_column(String(80), comment="Actor")
    settled_at: Mapped[datetime]


append_only(StatementSettlement.__table__, "statement_id")  # type: ignore[arg-type]

"""The ledger: balances, grants (lots), the journal, allocations, holds and idempotency keys.

Amounts are integers in the credit type's smallest unit. The journal (``transactions``) and its allocations
are append-only; the database refuses anything else.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, RowId, append_only, one_of
from models.catalog import CreditType

MAX_UNITS = 10**15
GRANT_SOURCES = ("subscription", "purchase", "overage", "bonus", "refund", "adjustment", "transfer")
TRANSACTION_TYPES = (
    "purchase",
    "subscription",
    "overage",
    "usage",
    "refund",
    "adjustment",
    "bonus",
    "expiry",
    "transfer",
    "revocation",
)
HOLD_STATUSES = ("open", "captured", "released", "expired")
OPEN_LOTS = "remaining > 0"
SPENDABLE_LOTS = "remaining > held"


def capped(column: str) -> CheckConstraint:
    """A CHECK that a column is between 0 and the cap at which sums cannot overflow."""
    return CheckConstraint(f"{column} BETWEEN 0 AND {MAX_UNITS}", name=column)


class Balance(Base):
    """One account's position in one credit type, kept with every line so that reading it costs one row."""

    __tablename__ = "balances"
    __table_args__ = (
        *(
            capped(column)
            for column in ("balance", "subscription", "purchased", "granted", "used", "expired", "removed")
        ),
        CheckConstraint("held BETWEEN 0 AND balance", name="held"),
        CheckConstraint("balance = purchased + granted - used - expired - removed", name="conservation"),
        CheckConstraint("subscription <= balance", name="subscription_within"),
        CheckConstraint(f"spending_cap BETWEEN 1 AND {MAX_UNITS}", name="spending_cap"),
        CheckConstraint(f"cap_used BETWEEN 0 AND {MAX_UNITS}", name="cap_used"),
        CheckConstraint("cap_ends_at > cap_starts_at", name="cap_window"),
        CheckConstraint(
            "(spending_cap IS NULL) = (cap_used IS NULL) AND (spending_cap IS NULL) = (cap_starts_at IS NULL) "
            "AND (spending_cap IS NULL) = (cap_ends_at IS NULL)",
            name="cap_is_whole",
        ),
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), primary_key=True)
    credit_type_id: Mapped[int] = mapped_column(
        ForeignKey("credit_types.id", ondelete="RESTRICT"), primary_key=True
    )
    balance: Mapped[int] = mapped_column(BigInteger, default=0, comment="Held credits included")
    held: Mapped[int] = mapped_column(BigInteger, default=0, comment="Reserved by open holds")
    subscription: Mapped[int] = mapped_column(BigInteger, default=0, comment="The part in subscription lots")
    purchased: Mapped[int] = mapped_column(BigInteger, default=0, comment="Purchase and overage")
    granted: Mapped[int] = mapped_column(
        BigInteger, default=0, comment="Subscription, bonus, up, transfer in"
    )
    used: Mapped[int] = mapped_column(BigInteger, default=0, comment="Usage less its refunds")
    expired: Mapped[int] = mapped_column(BigInteger, default=0)
    removed: Mapped[int] = mapped_column(BigInteger, default=0, comment="Revoked, down, transfer out")
    next_expiry_at: Mapped[datetime | None] = mapped_column(comment="Soonest instant a lot or hold may end")
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)
    head_mac: Mapped[str] = mapped_column(String(64), default="", comment="MAC of the last line")
    mac: Mapped[str] = mapped_column(String(64), default="", comment="Over account, type, sequence and head")
    purchase_lines: Mapped[int] = mapped_column(BigInteger, default=0)
    subscription_lines: Mapped[int] = mapped_column(BigInteger, default=0)
    overage_lines: Mapped[int] = mapped_column(BigInteger, default=0)
    usage_lines: Mapped[int] = mapped_column(BigInteger, default=0)
    refund_lines: Mapped[int] = mapped_column(BigInteger, default=0)
    adjustment_lines: Mapped[int] = mapped_column(BigInteger, default=0)
    bonus_lines: Mapped[int] = mapped_column(BigInteger, default=0)
    expiry_lines: Mapped[int] = mapped_column(BigInteger, default=0)
    transfer_lines: Mapped[int] = mapped_column(BigInteger, default=0)
    revocation_lines: Mapped[int] = mapped_column(BigInteger, default=0)
    spending_cap: Mapped[int | None] = mapped_column(BigInteger, comment="Most a calendar month; null: none")
    cap_used: Mapped[int | None] = mapped_column(BigInteger, comment="The month's usage less its refunds")
    cap_starts_at: Mapped[datetime | None] = mapped_column(comment="The month counted, in the account's zone")
    cap_ends_at: Mapped[datetime | None] = mapped_column(comment="Exclusive")

    credit_type: Mapped[CreditType] = relationship()


Index(
    "ix_balances_due",
    Balance.__table__.c.next_expiry_at,
    sqlite_where=text("next_expiry_at IS NOT NULL"),
    postgresql_where=text("next_expiry_at IS NOT NULL"),
)
Index(
    "ix_balances_capped",
    Balance.__table__.c.account_id,
    sqlite_where=text("spending_cap IS NOT NULL"),
    postgresql_where=text("spending_cap IS NOT NULL"),
)


class Grant(Base):
    """A lot: credits that came in together and expire together."""

    __tablename__ = "grants"
    __table_args__ = (
        CheckConstraint(one_of("source", GRANT_SOURCES), name="source"),
        CheckConstraint(f"amount BETWEEN 1 AND {MAX_UNITS}", name="amount"),
        CheckConstraint("remaining BETWEEN 0 AND amount", name="remaining"),
        CheckConstraint("held BETWEEN 0 AND remaining", name="held"),
        CheckConstraint("unrecovered >= 0", name="unrecovered"),
        CheckConstraint("revoked BETWEEN 0 AND amount", name="revoked"),
        CheckConstraint("priority BETWEEN 0 AND 1000", name="priority"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    credit_type_id: Mapped[int] = mapped_column(ForeignKey("credit_types.id", ondelete="RESTRICT"))
    source: Mapped[str] = mapped_column(String(12))
    is_subscription: Mapped[bool] = mapped_column(
        default=False, comment="Of source subscription, or a refund into such a lot"
    )
    amount: Mapped[int] = mapped_column(BigInteger, comment="Smallest units of the type")
    remaining: Mapped[int] = mapped_column(BigInteger, comment="Held included")
    held: Mapped[int] = mapped_column(BigInteger, default=0, comment="Reserved by open holds")
    revoked: Mapped[int] = mapped_column(BigInteger, default=0, comment="Taken back after payment refunds")
    unrecovered: Mapped[int] = mapped_column(
        BigInteger, default=0, comment="Should have been taken back but was spent already"
    )
    priority: Mapped[int] = mapped_column(comment="0-1000; lower is spent first")
    expires_at: Mapped[datetime | None] = mapped_column(comment="Exclusive; null: never")
    created_at: Mapped[datetime]
    origin_grant_id: Mapped[int | None] = mapped_column(
        ForeignKey("grants.id", ondelete="RESTRICT"), comment="The lot a refund or transfer came from"
    )
    payment_id: Mapped[int | None] = mapped_column(
        ForeignKey("payments.id", ondelete="RESTRICT"), index=True, comment="The payment that bought it"
    )


_grant = Grant.__table__.c
BURN_ORDER = (
    _grant.priority,
    _grant.expires_at.is_(None),
    _grant.expires_at,
    _grant.created_at,
    _grant.id,
)
Index(
    "ix_grants_burn_order",
    _grant.account_id,
    _grant.credit_type_id,
    *BURN_ORDER,
    sqlite_where=text(SPENDABLE_LOTS),
    postgresql_where=text(SPENDABLE_LOTS),
)
Index("ix_grants_account", _grant.account_id, _grant.credit_type_id, _grant.id)
Index(
    "ix_grants_expiring",
    _grant.account_id,
    _grant.credit_type_id,
    _grant.expires_at,
    sqlite_where=text(f"{OPEN_LOTS} AND expires_at IS NOT NULL"),
    postgresql_where=text(f"{OPEN_LOTS} AND expires_at IS NOT NULL"),
)


class Transaction(Base):
    """One immutable line of the journal."""

    __tablename__ = "transactions"
    __table_args__ = (
        UniqueConstraint("account_id", "credit_type_id", "sequence"),
        CheckConstraint(one_of("type", TRANSACTION_TYPES), name="type"),
        CheckConstraint("amount <> 0", name="amount"),
        CheckConstraint("balance_after = balance_before + amount", name="adds_up"),
        CheckConstraint(f"balance_after BETWEEN 0 AND {MAX_UNITS}", name="balance"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    credit_type_id: Mapped[int] = mapped_column(ForeignKey("credit_types.id", ondelete="RESTRICT"))
    sequence: Mapped[int] = mapped_column(BigInteger, comment="Gap-free from 1 per account and type")
    type: Mapped[str] = mapped_column(String(12))
    amount: Mapped[int] = mapped_column(BigInteger, comment="Signed, smallest units of the type")
    balance_before: Mapped[int] = mapped_column(BigInteger)
    balance_after: Mapped[int] = mapped_column(BigInteger)
    grant_id: Mapped[int | None] = mapped_column(
        ForeignKey("grants.id", ondelete="RESTRICT"), comment="The one lot this line made or wrote off"
    )
    related_id: Mapped[int | None] = mapped_column(
        ForeignKey("transactions.id", ondelete="RESTRICT"), comment="The usage a refund undoes; a twin line"
    )
    task_id: Mapped[str | None] = mapped_column(String(255), comment="The caller's reference")
    description: Mapped[str] = mapped_column(String(500), default="")
    quantity: Mapped[str | None] = mapped_column(String(40), comment="Decimal text")
    unit_cost: Mapped[str | None] = mapped_column(String(40), comment="Decimal text, in the credit type")
    payment_method: Mapped[str | None] = mapped_column(String(20))
    details: Mapped[str | None] = mapped_column("metadata", Text, comment="The caller's JSON")
    actor: Mapped[str] = mapped_column(String(80), comment="user:ID, key:ID, job:NAME or stripe:EVENT")
    created_at: Mapped[datetime]
    mac_version: Mapped[int] = mapped_column(default=1)
    mac_key_id: Mapped[str] = mapped_column(String(16))
    mac: Mapped[str] = mapped_column(String(64))


_line = Transaction.__table__.c
append_only(Transaction.__table__, "id", "account_id,credit_type_id,sequence")
# History across all credit types of an account, and by type: keyset pages need no sort.
Index("ix_transactions_account", _line.account_id, _line.id)
Index("ix_transactions_account_type", _line.account_id, _line.type, _line.id)
Index("ix_transactions_account_time", _line.account_id, _line.created_at, _line.id)
Index(
    "ix_transactions_task",
    _line.account_id,
    _line.task_id,
    _line.id,
    sqlite_where=text("task_id IS NOT NULL"),
    postgresql_where=text("task_id IS NOT NULL"),
)
Index(
    "ix_transactions_related",
    _line.related_id,
    sqlite_where=text("related_id IS NOT NULL"),
    postgresql_where=text("related_id IS NOT NULL"),
)


class Allocation(Base):
    """How much of which lot a line drew on (negative) or filled (positive)."""

    __tablename__ = "allocations"
    # Without a row id of its own the row lies in its key: a page less to write with every line.
    __table_args__ = (CheckConstraint("amount <> 0", name="amount"), {"sqlite_with_rowid": False})

    transaction_id: Mapped[int] = mapped_column(
        ForeignKey("transactions.id", ondelete="RESTRICT"), primary_key=True
    )
    position: Mapped[int] = mapped_column(
        primary_key=True, comment="Order in which lots were drawn or filled"
    )
    grant_id: Mapped[int] = mapped_column(ForeignKey("grants.id", ondelete="RESTRICT"), index=True)
    amount: Mapped[int] = mapped_column(BigInteger, comment="Signed, smallest units of the type")


append_only(Allocation.__table__, "transaction_id,position")


class Hold(Base):
    """Credits set aside for work in flight, or for a dispute."""

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint(one_of("status", HOLD_STATUSES), name="status"),
        CheckConstraint(f"amount BETWEEN 1 AND {MAX_UNITS}", name="amount"),
        CheckConstraint("captured BETWEEN 0 AND amount", name="captured"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    credit_type_id: Mapped[int] = mapped_column(ForeignKey("credit_types.id", ondelete="RESTRICT"))
    status: Mapped[str] = mapped_column(String(10), default="open")
    amount: Mapped[int] = mapped_column(BigInteger, comment="Smallest units of the type")
    captured: Mapped[int] = mapped_column(BigInteger, default=0)
    task_id: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(String(500), default="")
    actor: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None] = mapped_column(comment="Exclusive; null: until a dispute is closed")
    closed_at: Mapped[datetime | None]
    transaction_id: Mapped[int | None] = mapped_column(ForeignKey("transactions.id", ondelete="RESTRICT"))
    payment_id: Mapped[int | None] = mapped_column(
        ForeignKey("payments.id", ondelete="RESTRICT"), comment="The disputed payment"
    )


_hold = Hold.__table__.c
Index(
    "ix_holds_open",
    _hold.account_id,
    _hold.credit_type_id,
    _hold.expires_at,
    sqlite_where=text("status = 'open'"),
    postgresql_where=text("status = 'open'"),
)


class HoldLot(Base):
    """The lots a hold reserves, in burn order. ``amount`` is what is still reserved while it is open."""

    __tablename__ = "hold_lots"
    __table_args__ = (CheckConstraint("amount > 0", name="amount"),)

    hold_id: Mapped[int] = mapped_column(ForeignKey("holds.id", ondelete="RESTRICT"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    grant_id: Mapped[int] = mapped_column(ForeignKey("grants.id", ondelete="RESTRICT"), index=True)
    amount: Mapped[int] = mapped_column(BigInteger)


class IdempotencyKey(Base):
    """One caller's key in one scope, with the first answer: written in the transaction of the effect."""

    __tablename__ = "idempotency_keys"
    __table_args__ = ({"sqlite_with_rowid": False},)

    scope: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, comment="Account id; 0 for the instance"
    )
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64), comment="SHA-256 of method, path and canonical body")
    status: Mapped[int] = mapped_column(comment="HTTP status of the answer")
    body: Mapped[str] = mapped_column(Text, comment="The answer, JSON")
    created_at: Mapped[datetime] = mapped_column(index=True, comment="Wall clock")

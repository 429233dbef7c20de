"""What extra credits cost and sell for: prices by catalogue, agency and client, and each account's terms."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, RowId, append_only, one_of
from models.catalog import CreditType

SETTLEMENT_MODES = ("collected", "connected", "own_billing")


def _one_per(name: str, condition: str, *columns: str) -> Index:
    """Unique where a condition holds: NULLs are distinct, so one index over all would accept two defaults."""
    return Index(name, *columns, unique=True, sqlite_where=text(condition), postgresql_where=text(condition))


class CreditPrice(Base):
    """A price per whole credit from a moment on; the history is the table itself.

    Of a catalogue (what everybody pays), of an agency (all its clients), or of one client.
    """

    __tablename__ = "agency_credit_pricing"
    __table_args__ = (
        CheckConstraint("price_cents >= 0", name="price"),
        CheckConstraint("cost_cents >= 0", name="cost"),
        CheckConstraint(
            "(catalog_id IS NULL) <> (agency_account_id IS NULL AND client_account_id IS NULL)", name="scope"
        ),
        _one_per(
            "uq_agency_credit_pricing_catalog", "catalog_id IS NOT NULL",
            "catalog_id", "credit_type_id", "effective_from",
        ),
        _one_per(
            "uq_agency_credit_pricing_default", "agency_account_id IS NOT NULL AND client_account_id IS NULL",
            "agency_account_id", "credit_type_id", "effective_from",
        ),
        _one_per(
            "uq_agency_credit_pricing_client", "client_account_id IS NOT NULL",
            "client_account_id", "credit_type_id", "effective_from",
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    catalog_id: Mapped[int | None] = mapped_column(ForeignKey("catalogs.id", ondelete="RESTRICT"))
    agency_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    client_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    credit_type_id: Mapped[int] = mapped_column(ForeignKey("credit_types.id", ondelete="RESTRICT"))
    price_cents: Mapped[int | None] = mapped_column(
        BigInteger, comment="Minor units a whole credit; null: no price of its own from here on"
    )
    cost_cents: Mapped[int | None] = mapped_column(
        BigInteger, comment="The cost in force when it was set, minor units; null: none was known"
    )
    effective_from: Mapped[datetime]
    set_at: Mapped[datetime]
    set_by: Mapped[str] = mapped_column(String(80), comment="Actor")

    credit_type: Mapped[CreditType] = relationship()


append_only(CreditPrice.__table__, "id")  # type: ignore[arg-type]


class CreditCost(Base):
    """What a whole credit costs its seller from a moment on: of a catalogue, or of one agency."""

    __tablename__ = "credit_costs"
    __table_args__ = (
        CheckConstraint("cost_cents >= 0", name="cost"),
        CheckConstraint("(catalog_id IS NULL) <> (agency_account_id IS NULL)", name="scope"),
        _one_per(
            "uq_credit_costs_catalog", "catalog_id IS NOT NULL", "catalog_id", "credit_type_id", "effective_from"
        ),
        _one_per(
            "uq_credit_costs_agency", "agency_account_id IS NOT NULL",
            "agency_account_id", "credit_type_id", "effective_from",
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    catalog_id: Mapped[int | None] = mapped_column(ForeignKey("catalogs.id", ondelete="RESTRICT"))
    agency_account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    credit_type_id: Mapped[int] = mapped_column(ForeignKey("credit_types.id", ondelete="RESTRICT"))
    cost_cents: Mapped[int | None] = mapped_column(
        BigInteger, comment="Minor units a whole credit; null: the catalogue's again from here on"
    )
    effective_from: Mapped[datetime]
    set_at: Mapped[datetime]
    set_by: Mapped[str] = mapped_column(String(80), comment="Actor")

    credit_type: Mapped[CreditType] = relationship()


append_only(CreditCost.__table__, "id")  # type: ignore[arg-type]


class BillingTerms(Base):
    """How an account is billed for credits bought now and paid later; without a row the defaults hold."""

    __tablename__ = "billing_terms"
    __table_args__ = (
        CheckConstraint("owed_limit_cents >= 0", name="owed_limit"),
        CheckConstraint("cycle_day BETWEEN 1 AND 31", name="cycle_day"),
        CheckConstraint(one_of("settlement_mode", SETTLEMENT_MODES), name="settlement_mode"),
        CheckConstraint(
            "settlement_mode <> 'connected' OR stripe_connected_account_id IS NOT NULL", name="connected"
        ),
    )

    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
    )
    owed_limit_cents: Mapped[int | None] = mapped_column(
        BigInteger, comment="The most a client may owe at once, minor units; null: no limit"
    )
    cycle_day: Mapped[int] = mapped_column(default=1, comment="Of the month, in the account's time zone")
    settlement_mode: Mapped[str] = mapped_column(
        String(12), default="collected", comment="Of an agency: who collects what its clients owe"
    )
    stripe_connected_account_id: Mapped[str | None] = mapped_column(String(255))

"""What is sold: catalogues, credit types, plans, packages, meters, priced actions.

What is gone is archived, never deleted.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, RowId, one_of

DEFAULT_CREDIT_TYPE = "credits"
METER_KINDS = ("counter", "gauge")
OVER_LIMIT = ("credits", "block")
MAX_SCALE = 9


class CreditType(Base):
    """What is counted: whole credits, or a money wallet with so many decimal digits."""

    __tablename__ = "credit_types"
    __table_args__ = (
        CheckConstraint(f"scale BETWEEN 0 AND {MAX_SCALE}", name="scale"),
        CheckConstraint("NOT is_money OR currency IS NOT NULL", name="money_has_currency"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    scale: Mapped[int] = mapped_column(default=0, comment="Decimal digits; amounts are integers of 10^-scale")
    is_money: Mapped[bool] = mapped_column(default=False)
    currency: Mapped[str | None] = mapped_column(String(3), comment="ISO 4217, lower case; of money only")
    position: Mapped[int] = mapped_column(default=0, comment="Order on screen; the lowest is the main one")
    created_at: Mapped[datetime]


class Catalog(Base):
    """Owns plans, packages and a currency; an account belongs to one."""

    __tablename__ = "catalogs"
    __table_args__ = (
        Index(
            "uq_catalogs_one_default",
            "is_default",
            unique=True,
            sqlite_where=text("is_default"),
            postgresql_where=text("is_default"),
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    currency: Mapped[str] = mapped_column(String(3), default="usd", comment="ISO 4217, lower case")
    is_default: Mapped[bool] = mapped_column(default=False)
    wallet_type_id: Mapped[int | None] = mapped_column(
        ForeignKey("credit_types.id", ondelete="RESTRICT"), comment="The money wallet its accounts fund"
    )
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    wallet_type: Mapped[CreditType | None] = relationship()
    plans: Mapped[list["Plan"]] = relationship(back_populates="catalog", order_by="Plan.position")
    packages: Mapped[list["Package"]] = relationship(back_populates="catalog", order_by="Package.position")
    meters: Mapped[list["Meter"]] = relationship(back_populates="catalog", order_by="Meter.position")
    actions: Mapped[list["PricedAction"]] = relationship(
        back_populates="catalog", order_by="PricedAction.position"
    )


class Plan(Base):
    """A subscription on offer: prices, credits a month and how those expire."""

    __tablename__ = "plans"
    __table_args__ = (
        UniqueConstraint("catalog_id", "code"),
        CheckConstraint("monthly_price_cents IS NULL OR monthly_price_cents >= 0", name="monthly_price"),
        CheckConstraint("annual_price_cents IS NULL OR annual_price_cents >= 0", name="annual_price"),
        CheckConstraint("credits_per_month >= 0", name="credits"),
        CheckConstraint("offer_percent BETWEEN 1 AND 100", name="offer_percent"),
        CheckConstraint("offer_months BETWEEN 1 AND 36", name="offer_months"),
        CheckConstraint("(offer_percent IS NULL) = (offer_months IS NULL)", name="offer_is_whole"),
        Index(
            "uq_plans_one_default",
            "catalog_id",
            unique=True,
            sqlite_where=text("is_default AND archived_at IS NULL"),
            postgresql_where=text("is_default AND archived_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    catalog_id: Mapped[int] = mapped_column(ForeignKey("catalogs.id", ondelete="RESTRICT"))
    code: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text, default="")
    monthly_price_cents: Mapped[int | None] = mapped_column(
        BigInteger, comment="Minor units; null: by contact"
    )
    annual_price_cents: Mapped[int | None] = mapped_column(BigInteger, comment="Minor units a year")
    credit_type_id: Mapped[int] = mapped_column(ForeignKey("credit_types.id", ondelete="RESTRICT"))
    credits_per_month: Mapped[int] = mapped_column(
        BigInteger, default=0, comment="Smallest units of the type"
    )
    credits_expire: Mapped[str] = mapped_column(
        String(20), default="period_end+3d", comment="30d, period_end, period_end+3d or never"
    )
    features: Mapped[str] = mapped_column(Text, default="[]", comment="JSON list of short sentences")
    contact_url: Mapped[str | None] = mapped_column(Text, comment="Where to ask, of a plan by contact")
    offer_percent: Mapped[int | None] = mapped_column(comment="Per cent off for a first subscription")
    offer_months: Mapped[int | None] = mapped_column(comment="For so many months, of monthly billing")
    stripe_product_id: Mapped[str | None] = mapped_column(String(255))
    stripe_monthly_price_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    stripe_annual_price_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    stripe_coupon_id: Mapped[str | None] = mapped_column(String(255))
    is_default: Mapped[bool] = mapped_column(default=False, comment="The free plan of whoever has no other")
    position: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    catalog: Mapped[Catalog] = relationship(back_populates="plans")
    credit_type: Mapped[CreditType] = relationship()
    limits: Mapped[list["PlanLimit"]] = relationship(back_populates="plan")


class Package(Base):
    """Credits sold for a one-time payment."""

    __tablename__ = "packages"
    __table_args__ = (
        UniqueConstraint("catalog_id", "code"),
        CheckConstraint("credits > 0", name="credits"),
        CheckConstraint("price_cents > 0", name="price"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    catalog_id: Mapped[int] = mapped_column(ForeignKey("catalogs.id", ondelete="RESTRICT"))
    code: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(100))
    credit_type_id: Mapped[int] = mapped_column(ForeignKey("credit_types.id", ondelete="RESTRICT"))
    credits: Mapped[int] = mapped_column(BigInteger, comment="Smallest units of the type")
    price_cents: Mapped[int] = mapped_column(BigInteger, comment="Minor units of the catalogue's currency")
    popular: Mapped[bool] = mapped_column(default=False)
    subscribers_only: Mapped[bool] = mapped_column(default=False)
    stripe_product_id: Mapped[str | None] = mapped_column(String(255))
    stripe_price_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    position: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    catalog: Mapped[Catalog] = relationship(back_populates="packages")
    credit_type: Mapped[CreditType] = relationship()

    @property
    def price_id(self) -> str:
        """What a program may name in place of the code: Stripe's price once synced, else a lookup key."""
        return self.stripe_price_id or f"coffer_{self.catalog.code}_{self.code}"


class Meter(Base):
    """A kind of usage that plans limit: a counter that starts anew each month, or a gauge that does not."""

    __tablename__ = "meters"
    __table_args__ = (
        UniqueConstraint("catalog_id", "code"),
        CheckConstraint(one_of("kind", METER_KINDS), name="kind"),
        CheckConstraint("ratio_of_id IS NULL OR ratio_of_id <> id", name="ratio_of_another"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    catalog_id: Mapped[int] = mapped_column(ForeignKey("catalogs.id", ondelete="RESTRICT"))
    code: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(10), default="counter")
    ratio_of_id: Mapped[int | None] = mapped_column(
        ForeignKey("meters.id", ondelete="RESTRICT"), comment="Also shown as a share of this meter"
    )
    ratio_name: Mapped[str | None] = mapped_column(String(100), comment="What that share is called")
    position: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    catalog: Mapped[Catalog] = relationship(back_populates="meters")
    ratio_of: Mapped["Meter | None"] = relationship(remote_side=[id])


class PlanLimit(Base):
    """How much of a meter a plan includes, and what happens beyond: credits are taken, or nothing goes."""

    __tablename__ = "plan_limits"
    __table_args__ = (
        CheckConstraint("included >= 0", name="included"),
        CheckConstraint(one_of("over_limit", OVER_LIMIT), name="over_limit"),
        CheckConstraint("(over_limit = 'credits') = (credits_per_unit IS NOT NULL)", name="over_has_price"),
        CheckConstraint("credits_per_unit > 0", name="credits_per_unit"),
    )

    plan_id: Mapped[int] = mapped_column(ForeignKey("plans.id", ondelete="RESTRICT"), primary_key=True)
    meter_id: Mapped[int] = mapped_column(ForeignKey("meters.id", ondelete="RESTRICT"), primary_key=True)
    included: Mapped[int | None] = mapped_column(BigInteger, comment="Units a month; null: without limit")
    over_limit: Mapped[str] = mapped_column(String(10), default="block")
    credit_type_id: Mapped[int | None] = mapped_column(ForeignKey("credit_types.id", ondelete="RESTRICT"))
    credits_per_unit: Mapped[int | None] = mapped_column(
        BigInteger, comment="Smallest units of the credit type for each unit beyond"
    )

    plan: Mapped[Plan] = relationship(back_populates="limits")
    meter: Mapped[Meter] = relationship()
    credit_type: Mapped[CreditType | None] = relationship()


class PricedAction(Base):
    """Something that costs so many credits each; what an estimate is made of."""

    __tablename__ = "priced_actions"
    __table_args__ = (
        UniqueConstraint("catalog_id", "code"),
        CheckConstraint("credits > 0", name="credits"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    catalog_id: Mapped[int] = mapped_column(ForeignKey("catalogs.id", ondelete="RESTRICT"))
    code: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(100))
    credit_type_id: Mapped[int] = mapped_column(ForeignKey("credit_types.id", ondelete="RESTRICT"))
    credits: Mapped[int] = mapped_column(BigInteger, comment="Smallest units of the type, for one")
    position: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    catalog: Mapped[Catalog] = relationship(back_populates="actions")
    credit_type: Mapped[CreditType] = relationship()

"""What is sold: catalogues, credit types, plans and packages. What is gone is archived, never deleted."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, RowId

DEFAULT_CREDIT_TYPE = "credits"
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
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    plans: Mapped[list["Plan"]] = relationship(back_populates="catalog", order_by="Plan.position")
    packages: Mapped[list["Package"]] = relationship(back_populates="catalog", order_by="Package.position")


class Plan(Base):
    """A subscription on offer: prices, credits a month and how those expire."""

    __tablename__ = "plans"
    __table_args__ = (
        UniqueConstraint("catalog_id", "code"),
        CheckConstraint("monthly_price_cents IS NULL OR monthly_price_cents >= 0", name="monthly_price"),
        CheckConstraint("annual_price_cents IS NULL OR annual_price_cents >= 0", name="annual_price"),
        CheckConstraint("credits_per_month >= 0", name="credits"),
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
    is_default: Mapped[bool] = mapped_column(default=False, comment="The free plan of whoever has no other")
    position: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    catalog: Mapped[Catalog] = relationship(back_populates="plans")
    credit_type: Mapped[CreditType] = relationship()


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

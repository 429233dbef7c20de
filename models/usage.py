"""Usage by meter: what was counted in a window of a month, what a gauge shows, what each day brought."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class MeterWindow(Base):
    """What an account has used of a counter in the window that is open, most often a month.

    One row each: the next window takes it over, with the count where the plan changed meanwhile, else from 0.
    """

    __tablename__ = "meter_windows"
    __table_args__ = (
        CheckConstraint("used >= 0", name="used"),
        CheckConstraint("credits_used >= 0", name="credits_used"),
        CheckConstraint("ends_at > starts_at", name="half_open"),
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), primary_key=True)
    meter_id: Mapped[int] = mapped_column(ForeignKey("meters.id", ondelete="RESTRICT"), primary_key=True)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(comment="Exclusive")
    used: Mapped[int] = mapped_column(BigInteger, default=0)
    credits_used: Mapped[int] = mapped_column(
        BigInteger, default=0, comment="Smallest units of the credit type, taken for what was over the limit"
    )


class GaugeValue(Base):
    """What a gauge of an account shows now; it does not start anew."""

    __tablename__ = "gauge_values"
    __table_args__ = (CheckConstraint("value >= 0", name="value"),)

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), primary_key=True)
    meter_id: Mapped[int] = mapped_column(ForeignKey("meters.id", ondelete="RESTRICT"), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)
    credits_used: Mapped[int] = mapped_column(BigInteger, default=0)
    updated_at: Mapped[datetime]


class MeterDay(Base):
    """What one day brought: a counter's sum, a gauge's last value. For charts."""

    __tablename__ = "meter_days"
    __table_args__ = (CheckConstraint("quantity >= 0", name="quantity"),)

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), primary_key=True)
    meter_id: Mapped[int] = mapped_column(ForeignKey("meters.id", ondelete="RESTRICT"), primary_key=True)
    day: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, comment="Days since 1970-01-01, in the account's time zone"
    )
    quantity: Mapped[int] = mapped_column(BigInteger)
    credits_used: Mapped[int] = mapped_column(BigInteger, default=0)

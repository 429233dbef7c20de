"""Usage by meter: what was counted in a window of a month, what a gauge shows, what each day brought."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, RowId


class MeterWindow(Base):
    """What an account has used of a counter between two instants, most often a month."""

    __tablename__ = "meter_windows"
    __table_args__ = (
        UniqueConstraint("account_id", "meter_id", "starts_at"),
        CheckConstraint("used >= 0", name="used"),
        CheckConstraint("credits_used >= 0", name="credits_used"),
        CheckConstraint("ends_at > starts_at", name="half_open"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    meter_id: Mapped[int] = mapped_column(ForeignKey("meters.id", ondelete="RESTRICT"))
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
    day: Mapped[date] = mapped_column(Date, primary_key=True, comment="In the account's time zone")
    quantity: Mapped[int] = mapped_column(BigInteger)
    credits_used: Mapped[int] = mapped_column(BigInteger, default=0)

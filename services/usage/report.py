"""What an account uses: each meter against its limit, ratios, and the days behind them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select

from errors import InvalidRequest
from extensions import db
from models.accounts import Account
from models.billing import ENTITLING_STATUSES
from models.catalog import Meter, PlanLimit
from models.usage import GaugeValue, MeterDay, MeterWindow
from services.catalog.catalogs import catalog_of
from services.catalog.entitlements import open_subscription
from services.catalog.plans import current_plan
from services.clock import business_now
from services.usage.limits import Limit, percent_of, warning_of
from services.usage.windows import FIRST_DAY, Window, day_number, window_at

PERIODS = (7, 30, 90)


@dataclass(frozen=True, slots=True)
class MeterUsage:
    """A meter against the plan's limit. ``limit`` None: without limit.

    Units: ``credits_used`` and ``credits_per_unit`` in the smallest unit of the credit type, of ``scale`` digits.
    """

    code: str
    name: str
    kind: str
    used: int
    limit: int | None
    remaining: int | None
    percent: int | None
    warning: int | None
    credits_used: int
    credits_per_unit: int | None
    credit_type: str | None
    scale: int
    resets_at: datetime | None

    @property
    def blocks(self) -> bool:
        """Whether nothing goes beyond the limit."""
        return self.limit is not None and self.credits_per_unit is None


@dataclass(frozen=True, slots=True)
class Ratio:
    """A meter as a share of another over the period; ``percent`` None where there was nothing to share."""

    code: str
    name: str
    numerator: int
    denominator: int

    @property
    def percent(self) -> int | None:
        """Rounded down."""
        return self.numerator * 100 // self.denominator if self.denominator else None


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """One day by meter; a gauge shows its last value of that day, and nothing where it was not set."""

    day: date
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What an account uses over so many days, today included."""

    days: int
    first_day: date
    last_day: date
    window: Window
    meters: list[MeterUsage]
    ratios: list[Ratio]
    daily: list[DailyUsage]
    totals: dict[str, int]


def usage_of(account_id: int, days: int = 30) -> UsageReport:
    """Meters, ratios and days of an account. Raises NotFound, InvalidRequest naming ``days``."""
    if days not in PERIODS:
        raise InvalidRequest.of("days", f"must be one of {', '.join(map(str, PERIODS))}")
    catalog = catalog_of(account_id)
    meters = _meters(catalog.id) if catalog else []
    now, time_zone = business_now(), _time_zone(account_id)
    window = window_at(now, _anchor(account_id), time_zone)
    last_day = day_number(now, time_zone)
    daily = list(_daily(account_id, meters, last_day - days + 1, last_day))
    totals = {
        meter.code: sum(day.counts.get(meter.code, 0) for day in daily)
        for meter in meters
        if meter.kind == "counter"
    }
    return UsageReport(
        days, daily[0].day, daily[-1].day, window,
        _used(account_id, meters, window, now),
        [
            Ratio(meter.code, meter.ratio_name or meter.name, totals[meter.code], totals[meter.ratio_of.code])
            for meter in meters
            if meter.ratio_of is not None and meter.ratio_of.code in totals and meter.code in totals
        ],
        daily,
        totals,
    )  # fmt: skip


def meters_of(account_id: int) -> list[MeterUsage]:
    """Each meter of an account against its limit, without the days behind it. Raises NotFound."""
    catalog = catalog_of(account_id)
    meters = _meters(catalog.id) if catalog else []
    if not meters:
        return []
    now = business_now()
    window = window_at(now, _anchor(account_id), _time_zone(account_id))
    return _used(account_id, meters, window, now)


def _used(account_id: int, meters: list[Meter], window: Window, now: datetime) -> list[MeterUsage]:
    limits = _limits(account_id)
    values, spent = _current(account_id, now)
    return [_usage(m, limits.get(m.id, Limit()), values.get(m.id, 0), spent.get(m.id, 0), window) for m in meters]


def _usage(meter: Meter, limit: Limit, used: int, credits_used: int, window: Window) -> MeterUsage:
    return MeterUsage(
        code=meter.code,
        name=meter.name,
        kind=meter.kind,
        used=used,
        limit=limit.included,
        remaining=limit.remaining(used),
        percent=percent_of(used, limit.included),
        warning=warning_of(used, limit.included),
        credits_used=credits_used,
        credits_per_unit=limit.credits_per_unit,
        credit_type=limit.credit_type,
        scale=limit.scale,
        resets_at=window.ends_at if meter.kind == "counter" else None,
    )


def _meters(catalog_id: int) -> list[Meter]:
    return list(
        db.session.scalars(
            select(Meter)
            .where(Meter.catalog_id == catalog_id, Meter.archived_at.is_(None))
            .order_by(Meter.position, Meter.id)
        )
    )


def _limits(account_id: int) -> dict[int, Limit]:
    """The limits of the plan in force, by meter."""
    subscription = open_subscription(account_id)
    if subscription is not None and subscription.status not in ENTITLING_STATUSES:
        return {}
    plan = current_plan(account_id)
    if plan is None:
        return {}
    return {
        row.meter_id: Limit(
            row.included, row.credits_per_unit,
            row.credit_type.code if row.credit_type else None, row.credit_type.scale if row.credit_type else 0,
        )
        for row in db.session.scalars(select(PlanLimit).where(PlanLimit.plan_id == plan.id))
    }  # fmt: skip


def _anchor(account_id: int) -> datetime | None:
    subscription = open_subscription(account_id)
    if subscription is None or subscription.status not in ENTITLING_STATUSES:
        return None
    return subscription.anchor_at


def _current(account_id: int, now: datetime) -> tuple[dict[int, int], dict[int, int]]:
    """What each meter shows now, and the credits taken for it; a window that is over counts nothing."""
    values: dict[int, int] = {}
    spent: dict[int, int] = {}
    for row in db.session.scalars(select(MeterWindow).where(MeterWindow.account_id == account_id)):
        if row.ends_at > now:
            values[row.meter_id], spent[row.meter_id] = row.used, row.credits_used
    for gauge in db.session.scalars(select(GaugeValue).where(GaugeValue.account_id == account_id)):
        values[gauge.meter_id], spent[gauge.meter_id] = gauge.value, gauge.credits_used
    return values, spent


def _daily(account_id: int, meters: list[Meter], first: int, last: int) -> Iterator[DailyUsage]:
    """Every day of the period, those without use too."""
    codes = {meter.id: meter.code for meter in meters}
    counted: dict[int, dict[str, int]] = {}
    rows = db.session.execute(
        select(MeterDay.day, MeterDay.meter_id, MeterDay.quantity).where(
            MeterDay.account_id == account_id, MeterDay.day >= first, MeterDay.day <= last
        )
    )
    for day, meter_id, quantity in rows:
        if meter_id in codes:
            counted.setdefault(day, {})[codes[meter_id]] = quantity
    counters = [meter.code for meter in meters if meter.kind == "counter"]
    for day in range(first, last + 1):
        counts = dict.fromkeys(counters, 0) | counted.get(day, {})
        yield DailyUsage(FIRST_DAY + timedelta(days=day), counts)


def _time_zone(account_id: int) -> str:
    return db.session.scalar(select(Account.time_zone).where(Account.id == account_id)) or "UTC"

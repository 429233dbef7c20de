"""When credits run out at the present pace. Source: docs/usage.md, the forecast."""

from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from sqlalchemy import select

from extensions import db
from models.ledger import Transaction
from services.billing.coming_credits import ComingCredits
from services.clock import business_now
from services.ledger.balances import LotView
from services.ledger.grants import EXPIRING_PRIORITY, PERMANENT_PRIORITY

PACE_DAYS = 28
# With less history than this, a pace says nothing.
FEWEST_DAYS = 3
FARTHEST_DAYS = 730
# Less than this of a lot is what rounding left of it.
LEAST_UNITS = 1e-6
# Spends looked at: the latest of the time, so that a busy account is as quick as a quiet one.
MOST_LINES = 5_000


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the pace leads to. Units: ``daily_units`` in the smallest unit of the credit type.

    ``daily_units`` None: there is too little history to tell a pace from. ``runs_out_at`` None: not within two
    years. ``refilled_at``: when the plan brings the next credits after that. ``expiring_units``: what expires,
    of what there is now, before it could be spent. ``monthly_units``: what the plan brings next month.
    """

    daily_units: int | None
    runs_out_at: datetime | None = None
    expiring_units: int = 0
    refilled_at: datetime | None = None
    monthly_units: int = 0


@dataclass(slots=True)
class _Lot:
    """Credits that can be spent. Units: ``units`` as a fraction may be left; ``ends`` in days from now."""

    priority: int
    ends: float
    units: float
    is_here: bool


def forecast_of(
    account_id: int, credit_type_id: int, lots: list[LotView], coming: Sequence[ComingCredits] = ()
) -> Forecast:
    """The forecast of an account's credits, the plan's monthly ones counted in."""
    now = business_now()
    spent, days, is_busy = _pace(account_id, credit_type_id, now)
    if not spent or days <= 0 or (days < FEWEST_DAYS and not is_busy):
        return Forecast(None, monthly_units=coming[0].units if coming else 0)
    return run_down(lots, spent, days, now, coming)


def run_down(
    lots: list[LotView], spent: int, days: float, now: datetime, coming: Sequence[ComingCredits] = ()
) -> Forecast:
    """Spend lots in burn order at a pace of ``spent`` units in ``days``, each month's coming in its time.

    Pure calculation.
    """
    pace, at, expiring = spent / days, 0.0, 0.0
    waiting = deque((_days_until(month.comes_at, now), _lot_of(month, now)) for month in coming)
    here = [
        _Lot(each.priority, _days_until(each.expires_at, now), float(each.remaining - each.held), True)
        for each in lots
    ]
    while at <= FARTHEST_DAYS:
        while waiting and waiting[0][0] <= at:
            insort(here, waiting.popleft()[1], key=lambda lot: (lot.priority, lot.ends))
        if not here:
            break
        first = here[0]
        until = min(at + first.units / pace, first.ends, waiting[0][0] if waiting else inf)
        if until > at:
            first.units -= (until - at) * pace
            at = until
        if first.ends <= at or first.units < LEAST_UNITS:
            expiring += max(first.units, 0.0) if first.is_here and first.ends <= at else 0.0
            here.pop(0)
    ends = at <= FARTHEST_DAYS
    return Forecast(
        round(pace), now + timedelta(days=at) if ends else None, round(expiring),
        now + timedelta(days=waiting[0][0]) if ends and waiting else None, coming[0].units if coming else 0,
    )  # fmt: skip


def _lot_of(month: ComingCredits, now: datetime) -> _Lot:
    priority = PERMANENT_PRIORITY if month.expires_at is None else EXPIRING_PRIORITY
    return _Lot(priority, _days_until(month.expires_at, now), float(month.units), False)


def _days_until(moment: datetime | None, now: datetime) -> float:
    return inf if moment is None else (moment - now).total_seconds() / 86_400


def _pace(account_id: int, credit_type_id: int, now: datetime) -> tuple[int, float, bool]:
    """What was spent lately, in how many days, and whether there were more spends than are looked at."""
    since = now - timedelta(days=PACE_DAYS)
    latest = db.session.execute(
        select(Transaction.amount, Transaction.created_at)
        .where(
            Transaction.account_id == account_id,
            Transaction.credit_type_id == credit_type_id,
            Transaction.type == "usage",
            Transaction.created_at >= since,
        )
        .order_by(Transaction.created_at.desc(), Transaction.id.desc())
        .limit(MOST_LINES)
    ).all()
    if not latest:
        return 0, 0.0, False
    first = latest[-1].created_at
    spent, is_busy = -sum(row.amount for row in latest), len(latest) == MOST_LINES
    return spent, (now - first).total_seconds() / 86_400, is_busy

"""When credits run out at the present pace. Source: docs/usage.md, the forecast."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from extensions import db
from models.ledger import Transaction
from services.clock import business_now
from services.ledger.balances import LotView

PACE_DAYS = 28
# With less history than this, a pace says nothing.
FEWEST_DAYS = 3
FARTHEST_DAYS = 730
# Spends looked at: the latest of the time, so that a busy account is as quick as a quiet one.
MOST_LINES = 5_000


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the pace leads to. Units: ``daily_units`` in the smallest unit of the credit type.

    ``runs_out_at`` None: not within two years. ``expiring_units``: what expires before it could be spent.
    """

    daily_units: int
    runs_out_at: datetime | None
    expiring_units: int


def forecast_of(account_id: int, credit_type_id: int, lots: list[LotView]) -> Forecast | None:
    """The forecast of an account's credits; None where there was too little to tell a pace from."""
    now = business_now()
    spent, days, is_busy = _pace(account_id, credit_type_id, now)
    if not spent or days <= 0 or (days < FEWEST_DAYS and not is_busy):
        return None
    return run_down(lots, spent, days, now)


def run_down(lots: list[LotView], spent: int, days: float, now: datetime) -> Forecast:
    """Spend lots in burn order at a pace of ``spent`` units in ``days``: pure calculation."""
    at, expiring = 0.0, 0
    for lot in lots:
        ends = None if lot.expires_at is None else (lot.expires_at - now).total_seconds() / 86_400
        needs = (lot.remaining - lot.held) * days / spent
        if ends is not None and at + needs > ends:
            usable = max(ends - at, 0.0)
            expiring += (lot.remaining - lot.held) - int(usable * spent / days)
            at = max(at, ends)
            continue
        at += needs
    runs_out_at = now + timedelta(days=at) if at <= FARTHEST_DAYS else None
    return Forecast(round(spent / days), runs_out_at, expiring)


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

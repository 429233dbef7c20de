"""How a balance went, day by day: what was spent, and what was there when the day ended."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, func, select

from models.ledger import Transaction
from services.clock import business_now, to_microseconds
from services.statements import Statement

_lines = Transaction.__table__.c
_OF_PAGE = (_lines.account_id == bindparam("of_account")) & (_lines.credit_type_id == bindparam("of_type"))
BALANCE_BEFORE = Statement(
    select(_lines.balance_after)
    .where(_OF_PAGE, _lines.created_at < bindparam("moment"))
    .order_by(_lines.created_at.desc(), _lines.id.desc())
    .limit(1)
)
SPENT_BETWEEN = Statement(
    select(func.coalesce(func.sum(_lines.amount), 0)).where(
        _OF_PAGE, _lines.type == "usage", _lines.created_at >= bindparam("start"),
        _lines.created_at < bindparam("end"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DayCourse:
    """One day in the account's zone. Units: the smallest of the credit type."""

    day: date
    spent: int
    balance: int


def course_of(account_id: int, credit_type_id: int, days: int, time_zone: str) -> list[DayCourse]:
    """So many days, today included, oldest first. A day is found by index; only its own spends are added up."""
    zone = ZoneInfo(time_zone)
    today = business_now().astimezone(zone).date()
    of_page = {"of_account": account_id, "of_type": credit_type_id}
    course = []
    for day in (today - timedelta(days=back) for back in range(days - 1, -1, -1)):
        start, end = (to_microseconds(_midnight(each, zone)) for each in (day, day + timedelta(days=1)))
        balance = BALANCE_BEFORE.first(moment=end, **of_page)
        spent = SPENT_BETWEEN.first(start=start, end=end, **of_page)
        course.append(DayCourse(day, -int(spent[0]) if spent else 0, balance[0] if balance else 0))
    return course


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)

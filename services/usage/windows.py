"""The window in which a counter counts: pure calculation.

Monthly from the day the subscription began, annual plans too; without one the calendar month, in the
account's zone. Source: docs/usage.md, windows.
"""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from services.periods import calendar_month, month_index, months_after

FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open."""

    starts_at: datetime
    ends_at: datetime


def window_at(now: datetime, anchor_at: datetime | None, time_zone: str) -> Window:
    """The window that a moment lies in."""
    if anchor_at is None or now < anchor_at:
        anchor_at, _ = calendar_month(now, time_zone)
    month = month_index(anchor_at, now, time_zone)
    return Window(months_after(anchor_at, month, time_zone), months_after(anchor_at, month + 1, time_zone))


def day_number(moment: datetime, time_zone: str) -> int:
    """Days since 1970-01-01 in the zone."""
    return (moment.astimezone(ZoneInfo(time_zone)).date() - FIRST_DAY).days

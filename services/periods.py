"""Months from an anchor, in the account's zone: pure calculation.

Every step counts from the anchor day itself, so a short month shortens only itself:
31 January, 28 February, 31 March. Source: docs/ledger.md, two clocks.
"""

import calendar
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def months_after(anchor: datetime, months: int, time_zone: str = "UTC") -> datetime:
    """The instant so many months after an anchor, at its time of day in the zone.

    A day that the month does not have becomes its last; an hour that the clocks skip becomes the next.
    """
    local = anchor.astimezone(ZoneInfo(time_zone))
    years, month_index = divmod(local.month - 1 + months, 12)
    year, month = local.year + years, month_index + 1
    day = min(local.day, calendar.monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day).astimezone(UTC)


def month_index(anchor: datetime, moment: datetime, time_zone: str = "UTC") -> int:
    """Which month since the anchor a moment lies in: 0 for the first, half-open."""
    if moment < anchor:
        raise ValueError("the moment lies before the anchor")
    zone = ZoneInfo(time_zone)
    start, local = anchor.astimezone(zone), moment.astimezone(zone)
    guess = (local.year - start.year) * 12 + local.month - start.month
    return guess if months_after(anchor, guess, time_zone) <= moment else guess - 1


def calendar_month(moment: datetime, time_zone: str = "UTC") -> tuple[datetime, datetime]:
    """The calendar month of a zone that a moment lies in: when it begins and when the next does."""
    local = moment.astimezone(ZoneInfo(time_zone))
    first = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    return first.astimezone(UTC), months_after(first, 1, time_zone)

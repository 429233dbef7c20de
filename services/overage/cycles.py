"""Billing cycles: months that begin on an account's day, at midnight in its zone. Pure calculation.

Source: docs/overage.md, cycles.
"""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from services.periods import month_index, months_after


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle. Half-open."""

    start: datetime
    end: datetime


def cycle_around(moment: datetime, cycle_day: int, time_zone: str) -> Cycle:
    """The cycle that a moment lies in. A day that a month does not have is its last."""
    zone = ZoneInfo(time_zone)
    # A January before everything, so that each step counts from the very day and never drifts.
    anchor = datetime(moment.astimezone(zone).year - 1, 1, cycle_day, tzinfo=zone)
    number = month_index(anchor, moment, time_zone)
    return Cycle(months_after(anchor, number, time_zone), months_after(anchor, number + 1, time_zone))

"""When the periods of a subscription begin and end: counted from its anchor, so that none ever drifts."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta

from sandbox.store import Object

MONTHS = {"month": 1, "year": 12}
DAYS = {"day": 1, "week": 7}


def boundary(anchor: int, recurring: Object, number: int) -> int:
    """The end of the ``number``-th period after an anchor; the 31st becomes the last day of shorter months."""
    at, steps = datetime.fromtimestamp(anchor, UTC), number * recurring["interval_count"]
    interval = recurring["interval"]
    if interval in DAYS:
        return int((at + timedelta(days=steps * DAYS[interval])).timestamp())
    year, month = divmod(at.year * 12 + at.month - 1 + steps * MONTHS[interval], 12)
    day = min(at.day, monthrange(year, month + 1)[1])
    return int(at.replace(year=year, month=month + 1, day=day).timestamp())


def boundary_after(anchor: int, recurring: Object, moment: int) -> int:
    """The first end of a period that lies after a moment."""
    longest_days = {"day": 1, "week": 7, "month": 31, "year": 366}[recurring["interval"]]
    number = max((moment - anchor) // (longest_days * 86_400 * recurring["interval_count"]), 0)
    while boundary(anchor, recurring, number) <= moment:
        number += 1
    return boundary(anchor, recurring, number)

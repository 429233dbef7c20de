"""The two clocks. Nothing else in Coffer asks for the time.

``business_now`` is the time of the ledger, of billing and of jobs; time travel moves it. ``wall_now`` is the
time of sessions, tokens, signatures, limits, leases and mail. Both are UTC and aware.
Source: docs/ledger.md, two clocks.
"""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_moved_by = timedelta(0)
_set_for_a_while: timedelta | None = None


def wall_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


def business_now() -> datetime:
    """The product's time: the real one, and how far time travel has moved it."""
    return datetime.now(UTC) + (_moved_by if _set_for_a_while is None else _set_for_a_while)


def moved_by() -> timedelta:
    """How far the product's clock is ahead, as this process knows it."""
    return _moved_by


def move_business_clock(offset: timedelta) -> None:
    """Have the product's clock be what the database says. Only ``moved_clock`` says so."""
    global _moved_by
    _moved_by = offset


def set_business_offset(offset: timedelta | None) -> timedelta | None:
    """For a while, in this process alone: the demo's past, a run by hand. None: as the database says.

    Returns what was set before, to be set again.
    """
    global _set_for_a_while
    before, _set_for_a_while = _set_for_a_while, offset
    return before


def boot_seconds() -> float:
    """Seconds since the machine booted, suspended time included where the system can tell."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def to_microseconds(moment: datetime) -> int:
    """An aware datetime as microseconds since 1970 (UTC), the form in which the database keeps it."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC datetime of a stored instant."""
    return _EPOCH + timedelta(microseconds=microseconds)


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with ``Z``, as the API writes every time."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")

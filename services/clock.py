"""The two clocks. Nothing else in Coffer asks for the time.

``business_now`` is the time of the ledger, of billing and of jobs; time travel moves it. ``wall_now`` is the
time of sessions, tokens, signatures, limits, leases and mail. Both are UTC and aware.
Source: docs/ledger.md, two clocks.
"""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_business_offset = timedelta(0)


def wall_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


def business_now() -> datetime:
    """The product's time: the real one plus the offset that time travel has set."""
    return datetime.now(UTC) + _business_offset


def set_business_offset(offset: timedelta) -> None:
    """Move the product's clock. Only demo instances may; the caller has checked it."""
    global _business_offset
    _business_offset = offset


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

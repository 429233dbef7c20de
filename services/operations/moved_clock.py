"""How far the product's clock was moved: a fact of the database, which every process follows.

Only a demo's clock moves, and only forward. That it was moved is never forgotten: such a database holds bills
and credits of days that have not been. Source: docs/operations.md, time travel.
"""

import logging
import time
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from extensions import db
from services import clock
from services.operations.facts import fact, keep_fact, set_fact
from services.unit_of_work import after_commit, atomic

logger = logging.getLogger("coffer.clock")
OFFSET = "clock_offset_microseconds"
FIRST_MOVED = "clock_first_moved"
LOOK_SECONDS = 1.0
READ_OFFSET = text("SELECT value FROM instance_facts WHERE name = :name")


class ClockFollower:
    """Keeps this process's clock as the database says; one look a second at most, on a connection of its own."""

    def __init__(self) -> None:
        self._looked_at: float | None = None

    def __call__(self, *_sender: object, **_more: object) -> None:
        """Look, unless that was done just now. A database that cannot be read changes nothing."""
        now = time.monotonic()
        if self._looked_at is not None and 0 <= now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        try:
            with db.engine.connect() as connection:
                kept = connection.execute(READ_OFFSET, {"name": OFFSET}).scalar()
        except SQLAlchemyError as error:  # before the first migration there is no such table
            logger.debug("The clock's offset could not be read: %s", error)
            return
        # Never back: what was read may be older than a move that this process has made since.
        clock.move_business_clock(max(_as_offset(kept), clock.moved_by()))


def clock_was_moved_at() -> str | None:
    """When the clock was moved first, by the wall; None where it never was."""
    return fact(FIRST_MOVED)


@atomic
def move_clock_to(moment: datetime) -> datetime:
    """Move the product's clock forward to an instant and return what it says; never backwards. Idempotent."""
    offset = max(moment - clock.wall_now(), _as_offset(fact(OFFSET)))
    keep_fact(FIRST_MOVED, clock.iso(clock.wall_now()))
    set_fact(OFFSET, str(offset // timedelta(microseconds=1)))
    after_commit(lambda: clock.move_business_clock(offset))
    return clock.wall_now() + offset


def _as_offset(kept: str | None) -> timedelta:
    return timedelta(microseconds=int(kept or 0))

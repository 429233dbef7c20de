"""Whether this process can do its work: database, schema, scheduler."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from extensions import db
from services.clock import wall_now
from services.operations.schema import current_revision, head_revision

FRESH = timedelta(seconds=90)
_guard = threading.Lock()
_last_tick: datetime | None = None
_head: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    is_fine: bool
    detail: str


def note_tick() -> None:
    """The scheduler says that it is alive."""
    global _last_tick
    with _guard:
        _last_tick = wall_now()


def readiness(*, has_scheduler: bool) -> list[Check]:
    """What /readyz reports. Each check answers, whatever fails; ``has_scheduler`` as set for this process."""
    checks = [_checked("database", _database), _checked("schema", _schema)]
    if has_scheduler:
        checks.append(_checked("scheduler", _scheduler))
    return checks


def _checked(name: str, look: Callable[[], tuple[bool, str]]) -> Check:
    try:
        return Check(name, *look())
    except Exception as error:
        return Check(name, False, type(error).__name__)


def _database() -> tuple[bool, str]:
    with db.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    return True, "answers"


def _schema() -> tuple[bool, str]:
    global _head
    if _head is None:
        _head = head_revision()
    current = current_revision()
    return current == _head, f"at {current or 'none'}, wanted {_head}"


def _scheduler() -> tuple[bool, str]:
    with _guard:
        seen = _last_tick
    if seen is None:
        return False, "has not looked for jobs yet"
    age = wall_now() - seen
    return age <= FRESH, f"looked for jobs {int(age.total_seconds())} s ago"

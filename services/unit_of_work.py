"""One domain operation is one database transaction; only this file commits.

``@atomic`` opens the unit (BEGIN IMMEDIATE on SQLite, behind one fair in-process lock), commits it durably
and only then runs what was left for afterwards. An atomic operation called inside another joins it. A whole
unit is run again on a serialization failure or deadlock. Source: docs/ledger.md, atomic.
"""

import functools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError

from errors import StorageUnavailable
from extensions import db
from sqlite_library import sqlite
from turn import set_aside

P = ParamSpec("P")
T = TypeVar("T")

WAIT_SECONDS = 10.0
ATTEMPTS = 6
# PostgreSQL: serialization_failure, deadlock_detected.
RETRYABLE_SQLSTATES = {"40001", "40P01"}
# PostgreSQL errors that mean "not now": connection, read-only server, still in conflict after every attempt,
# resources, operator intervention, system.
UNAVAILABLE_SQLSTATE_CLASSES = ("08", "25006", "40", "53", "55", "57", "58")


class FairLock:
    """A lock that is handed over in the order of asking.

    SQLite's busy time-out lets late comers overtake; someone then waits for seconds while others pass.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    def acquire(self, timeout_seconds: float) -> bool:
        """Wait for one's turn; False where the time is over."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            ticket = threading.Lock()
            ticket.acquire()
            self._waiting.append(ticket)
        with set_aside():
            is_ours = ticket.acquire(timeout=timeout_seconds)
        if is_ours:
            return True
        with self._guard:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                return False
        return True  # it came while giving up: it is ours

    def release(self) -> None:
        """Hand over to whoever has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


_sqlite_writers = FairLock()


def unit_is_open() -> bool:
    """Whether this thread is inside a unit; no network call may be made then."""
    return "unit" in db.session.info


def after_commit(callback: Callable[[], None]) -> None:
    """Leave something for after the commit (mail, a wake-up); dropped where the unit fails."""
    db.session.info["unit"].append(callback)


def atomic(operation: Callable[P, T]) -> Callable[P, T]:
    """Make a function one unit of work. Raises StorageUnavailable where the database cannot take it."""

    @functools.wraps(operation)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if unit_is_open():
            return operation(*args, **kwargs)
        return _run_unit(lambda: operation(*args, **kwargs))

    return run


def _run_unit(operation: Callable[[], T]) -> T:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _attempt(operation)
        except _storage_errors() as error:
            if _is_retryable(error) and attempt < ATTEMPTS:
                time.sleep(0.005 * 2**attempt)
                continue
            raise translated(error) from error
    raise AssertionError("unreachable")


def _storage_errors() -> tuple[type[Exception], ...]:
    """The driver's own errors too: ready statements run on its connection, past SQLAlchemy's wrapping."""
    return DBAPIError, OSError, db.engine.dialect.loaded_dbapi.Error


def _attempt(operation: Callable[[], T]) -> T:
    session = db.session()
    assert session.is_clean(), "changes were made outside a unit of work"
    is_sqlite = db.engine.dialect.name == "sqlite"
    if is_sqlite and not _sqlite_writers.acquire(WAIT_SECONDS):
        raise StorageUnavailable("Too many writers are waiting.", retry_after_seconds=1)
    callbacks: list[Callable[[], None]] = []
    try:
        session.info["unit"] = callbacks
        session.begin_unit()
        result = operation()
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.pop("unit", None)
        if is_sqlite:
            _sqlite_writers.release()
    for callback in callbacks:
        callback()
    return result


def _sqlstate(error: BaseException) -> str | None:
    return getattr(getattr(error, "orig", error), "sqlstate", None)


def _is_retryable(error: BaseException) -> bool:
    return _sqlstate(error) in RETRYABLE_SQLSTATES


def translated(error: BaseException) -> BaseException:
    """StorageUnavailable for what passes (locked, full, gone); the error itself for what is a bug."""
    original = getattr(error, "orig", None) or error
    state = _sqlstate(error)
    passing = isinstance(original, sqlite.OperationalError | OSError) or (
        state.startswith(UNAVAILABLE_SQLSTATE_CLASSES)
        if state
        else type(original).__name__ == "OperationalError"
    )
    if passing and not _is_programming_mistake(original):
        return StorageUnavailable(retry_after_seconds=2)
    return error


def _is_programming_mistake(original: Any) -> bool:
    """SQLite reports a wrong statement as an OperationalError too."""
    text = str(original)
    return text.startswith(("no such", "near ")) or "syntax error" in text

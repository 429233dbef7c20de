"""The one SQLite library of the process, and what it is safe to do with it.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL database that several connections write (the WAL-reset bug), and
most systems ship such a version, so the bundled one of ``pysqlite3`` is preferred. Two SQLite libraries in
one process drop each other's POSIX locks; therefore nothing else in Coffer imports ``sqlite3``.
"""

from typing import Any

try:
    import pysqlite3.dbapi2 as sqlite
except ImportError:  # no wheel for this platform: the standard library's, with safer settings
    import sqlite3 as sqlite

FIRST_VERSION_WITHOUT_WAL_RESET_BUG = (3, 51, 3)

VERSION: str = sqlite.sqlite_version
WAL_IS_SAFE: bool = sqlite.sqlite_version_info >= FIRST_VERSION_WITHOUT_WAL_RESET_BUG
JOURNAL_MODE: str = "WAL" if WAL_IS_SAFE else "DELETE"
# In DELETE mode the directory entry of the journal must be synced too, which only EXTRA does.
SYNCHRONOUS: str = "FULL" if WAL_IS_SAFE else "EXTRA"
BUSY_TIMEOUT_MILLISECONDS = 10_000


def prepare(connection: Any, journal_mode: str = JOURNAL_MODE, synchronous: str = SYNCHRONOUS) -> None:
    """Set a fresh connection up for the ledger: durable commits, foreign keys, triggers on REPLACE."""
    connection.isolation_level = None  # BEGIN is ours: the driver's own comes too late for a read-then-write
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}")
    cursor.execute(f"PRAGMA journal_mode = {journal_mode}")
    cursor.execute(f"PRAGMA synchronous = {synchronous}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA recursive_triggers = ON")
    cursor.execute("PRAGMA wal_autocheckpoint = 1000")
    cursor.execute("PRAGMA journal_size_limit = 67108864")
    cursor.close()


def describe() -> str:
    """One line for the start-up log: which SQLite this is and how it is used."""
    return f"SQLite {VERSION}, journal_mode={JOURNAL_MODE}, synchronous={SYNCHRONOUS}"

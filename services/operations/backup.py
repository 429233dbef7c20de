"""Backups of the running database: whole, consistent, checked, then put in place in one step.

A copy of a live WAL database by ``cp`` is not a backup: what is not yet in the main file is missing from it.
Source: docs/operations.md, back up.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from errors import CofferError
from extensions import db
from services.clock import wall_now
from services.ledger.proof import write_heads
from sqlite_library import sqlite

NIGHTLY_PREFIX = "coffer-"
DUMP_SECONDS = 3_600


class BackupFailed(CofferError):
    """A backup could not be made or is not whole."""

    code, status, title = "backup_failed", 500, "The backup failed"


def write_backup(target: Path) -> Path:
    """Write a whole backup of the connected database, readable by its owner alone.

    Beside it goes ``TARGET.heads.json``: the journal's heads just before, so that all of them are in it.
    Raises BackupFailed; then ``target`` is as it was. A target that exists is replaced.
    """
    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_heads(heads_beside(target), replace=True)
        with _written_whole(target) as temporary:
            if db.engine.dialect.name == "sqlite":
                copy_sqlite(Path(str(db.engine.url.database)), temporary)
            else:
                _dump_postgresql(temporary)
    except (OSError, sqlite.Error) as error:
        raise BackupFailed(f"The backup to {target} failed: {error}") from error
    return target


def heads_beside(target: Path) -> Path:
    """Where the heads of a backup are."""
    return target.with_name(target.name + ".heads.json")


def nightly_backup(folder: Path, keep: int) -> Path:
    """Write a backup named by date and time and drop the oldest beyond ``keep``."""
    ending = "sqlite" if db.engine.dialect.name == "sqlite" else "dump"
    written = write_backup(folder / f"{NIGHTLY_PREFIX}{wall_now():%Y%m%dT%H%M%SZ}.{ending}")
    for old in sorted(folder.glob(f"{NIGHTLY_PREFIX}*.{ending}"))[:-keep]:
        old.unlink(missing_ok=True)
        heads_beside(old).unlink(missing_ok=True)
    return written


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database, live or not, by the online backup API; the copy is one file, and checked.

    One step copies all: a copy in many would begin anew with each write of others. Writers do not wait for
    it in WAL mode. Raises BackupFailed where the copy is damaged.
    """
    origin = sqlite.connect(f"file:{source}?mode=ro", uri=True, timeout=10)
    copy = sqlite.connect(target)
    try:
        origin.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE").fetchone()
        check_sqlite(copy, target)
    finally:
        copy.close()
        origin.close()


def check_sqlite(connection: Any, path: Path) -> None:
    """Raises BackupFailed where SQLite finds the file damaged."""
    found = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise BackupFailed(f"{path} is damaged: {found}")


@contextmanager
def _written_whole(target: Path) -> Iterator[Path]:
    """A temporary file, mode 0600, that takes the target's place once it is on disk."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, target)
        sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file, or the entries of a folder, on disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _dump_postgresql(target: Path) -> None:
    run_postgresql_tool("pg_dump", "--format=custom", "--no-owner", f"--file={target}")


def run_postgresql_tool(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own programs on the connected database. Raises BackupFailed.

    The connection goes by environment, so that no password shows in the list of processes.
    """
    program = shutil.which(name)
    if program is None:
        raise BackupFailed(f"{name} is not installed; it comes with PostgreSQL's client package.")
    environment = os.environ | _postgresql_environment()
    done = subprocess.run(
        [program, *arguments], env=environment, capture_output=True, text=True, timeout=DUMP_SECONDS
    )
    if done.returncode != 0:
        raise BackupFailed(f"{name} failed: {done.stderr.strip()[-500:]}")


def _postgresql_environment() -> dict[str, str]:
    url = db.engine.url
    known = {
        "PGHOST": url.query.get("host") or url.host,
        "PGPORT": url.query.get("port") or url.port,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        "PGSSLMODE": url.query.get("sslmode"),
    }
    return {name: str(value) for name, value in known.items() if value}

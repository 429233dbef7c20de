"""Putting a backup in the place of the database; what was there is kept aside.

Afterwards jobs that take money are paused until a reconciliation has run: the backup does not know what was
charged since. Source: docs/operations.md, restore.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from errors import CofferError, Conflict
from extensions import db
from services.clock import iso, wall_now
from services.ledger import chain
from services.ledger.proof import write_heads
from services.operations.backup import (
    BackupFailed,
    check_sqlite,
    copy_sqlite,
    run_postgresql_tool,
    sync,
    write_backup,
)
from services.operations.schema import is_known_revision
from sqlite_library import sqlite

PAYMENTS_PAUSED = "payments_paused"
SET_FACT = (
    "INSERT INTO instance_facts (name, value) VALUES (:name, :value) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


class RestoreRefused(CofferError):
    """The file cannot take the database's place."""

    code, status, title = "restore_refused", 409, "The backup cannot be restored"


@dataclass(slots=True)
class Restored:
    """What a restore did: where the replaced database is, and what its user should know."""

    replaced: Path | None
    warnings: list[str] = field(default_factory=list)


def restore_backup(source: Path, backup_dir: Path, heads_path: Path) -> Restored:
    """Replace the connected database by a backup; the caller holds the instance lock.

    Raises RestoreRefused (not a whole backup of Coffer, or of a later version), Conflict where a process
    still has the database open. Then the database is as it was. The heads noted at ``heads_path`` are those
    of the replaced ledger: they are kept aside, and those of the restored one noted.
    """
    if not source.is_file():
        raise RestoreRefused(f"There is no file {source}.")
    stamp = f"{wall_now():%Y%m%dT%H%M%SZ}"
    if db.engine.dialect.name == "sqlite":
        restored = _restore_sqlite(source.resolve(), stamp)
    else:
        restored = _restore_postgresql(source.resolve(), backup_dir / f"replaced-{stamp}.dump")
    if heads_path.exists():
        os.replace(heads_path, heads_path.with_name(f"{heads_path.name}.replaced-{stamp}"))
    write_heads(heads_path, replace=True)
    return restored


def _restore_sqlite(source: Path, stamp: str) -> Restored:
    live = Path(str(db.engine.url.database)).resolve()
    if source == live:
        raise RestoreRefused("This file is the database itself.")
    db.session.remove()
    db.engine.dispose()
    incoming = live.with_name(f".{live.name}.{os.getpid()}.incoming")
    incoming.unlink(missing_ok=True)
    os.close(os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        warnings = _prepare_incoming(source, incoming)
        replaced = None
        if live.exists():
            _close_journal(live)
            replaced = live.with_name(f"{live.name}.replaced-{stamp}")
            os.link(live, replaced)
        os.replace(incoming, live)
        sync(live.parent)
    finally:
        incoming.unlink(missing_ok=True)
    return Restored(replaced, warnings)


def _prepare_incoming(source: Path, incoming: Path) -> list[str]:
    """Copy and check the backup beside the database; returns what its user should know."""
    try:
        copy_sqlite(source, incoming)
        connection = sqlite.connect(incoming)
        try:
            check_sqlite(connection, incoming)
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            keys = {row[0] for row in connection.execute("SELECT DISTINCT mac_key_id FROM transactions")}
            with connection:
                connection.execute(SET_FACT, {"name": PAYMENTS_PAUSED, "value": _pause_reason(source)})
        finally:
            connection.close()
    except (sqlite.Error, BackupFailed) as error:
        raise RestoreRefused(f"{source} is no whole backup of Coffer: {error}") from error
    _check_revision(revision[0] if revision else None)
    sync(incoming)
    return key_warnings(keys)


def _close_journal(live: Path) -> None:
    """Leave WAL mode, which only succeeds when no other process has the database open."""
    connection = sqlite.connect(live, timeout=1)
    try:
        mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
        if mode != "delete":
            raise Conflict(f"A process has {live} open; stop it first.")
    except sqlite.OperationalError as error:
        raise Conflict(f"A process has {live} open; stop it first ({error}).") from error
    except sqlite.DatabaseError:
        return  # a damaged database is what a restore is for; it is kept aside as it is
    finally:
        connection.close()


def _restore_postgresql(source: Path, aside: Path) -> Restored:
    _refuse_connected()
    replaced = write_backup(aside) if _has_tables() else None
    db.session.remove()
    db.engine.dispose()
    try:
        run_postgresql_tool("pg_restore", "--list", str(source))
        run_postgresql_tool(
            "pg_restore", "--exit-on-error", "--single-transaction", "--clean", "--if-exists", "--no-owner",
            f"--dbname={db.engine.url.database}", str(source),
        )  # fmt: skip
    except BackupFailed as error:
        raise RestoreRefused(f"{source} was not restored: {error.detail}") from error
    with db.engine.begin() as connection:
        connection.execute(text(SET_FACT), {"name": PAYMENTS_PAUSED, "value": _pause_reason(source)})
        revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
        keys = set(connection.scalars(text("SELECT DISTINCT mac_key_id FROM transactions")))
    warnings = key_warnings(keys)
    if not is_known_revision(revision):
        warnings.append(f"The backup is at revision {revision}, which this version does not know.")
    return Restored(replaced, warnings)


def _refuse_connected() -> None:
    with db.engine.connect() as connection:
        others = connection.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    if others:
        raise Conflict(f"{others} other connections use the database; stop what makes them first.")


def _has_tables() -> bool:
    with db.engine.connect() as connection:
        return bool(connection.scalar(text("SELECT to_regclass('transactions') IS NOT NULL")))


def _check_revision(revision: Any) -> None:
    if not is_known_revision(revision):
        raise RestoreRefused(
            f"The backup is at revision {revision}, which this version does not know: it was written by a "
            "later version of Coffer."
        )


def key_warnings(keys: set[str]) -> list[str]:
    """A warning where journal lines name another ledger key than this instance has."""
    other = sorted(keys - {chain.key().id})
    if not other:
        return []
    return [
        f"Journal lines were signed with another ledger key ({', '.join(other)}) than this instance has "
        f"({chain.key().id}): bring back its LEDGER_KEY (or instance/ledger_key), or the proof will fail."
    ]


def _pause_reason(source: Path) -> str:
    return f"{source.name} was restored at {iso(wall_now())}; reconcile with Stripe first."

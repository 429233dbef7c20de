"""The schema: which revision a database has, which one the code wants, and the way from one to the other.

SQLite is upgraded at start, after a backup; PostgreSQL by command. Source: docs/operations.md, upgrade.
"""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import inspect

from errors import CofferError
from extensions import db
from services.clock import wall_now
from services.operations.backup import write_backup

logger = logging.getLogger("coffer.schema")
MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
UPGRADE_COMMAND = "flask --app app db upgrade"
# Any number will do as long as it stays: the advisory lock of upgrades.
UPGRADE_LOCK = 0x434F46464552


class SchemaMismatch(CofferError):
    """The database's schema is not the one this version of Coffer works with."""

    code, status, title = "schema_mismatch", 503, "The database schema does not fit this version"


def head_revision() -> str:
    """The revision that this code works with."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None, "there are no migrations"
    return head


def current_revision() -> str | None:
    """The revision of the connected database; None where it has none."""
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def is_new() -> bool:
    """Whether the connected database has no tables at all."""
    return not inspect(db.engine).get_table_names()


def upgrade_schema() -> None:
    """Bring the connected database to the head revision; what is at head stays as it is."""
    command.upgrade(alembic_config(), "head")


def upgrade_at_start(backup_dir: Path) -> bool:
    """Make the database fit the code, or refuse. Returns whether the database is new.

    Raises SchemaMismatch where it comes from a later version, or where PostgreSQL is behind.
    """
    head, current = head_revision(), current_revision()
    if current == head:
        return False
    fresh = is_new()
    if current is not None and not is_known_revision(current):
        raise SchemaMismatch(
            f"The database is at revision {current}, which this version does not know: it was written by a "
            "later version of Coffer."
        )
    if db.engine.dialect.name != "sqlite":
        raise SchemaMismatch(
            f"The database is at revision {current or 'none'}, this version needs {head}. "
            f"Run: {UPGRADE_COMMAND}"
        )
    if not fresh:
        target = backup_dir / f"before-{head}-{wall_now():%Y%m%dT%H%M%SZ}.sqlite"
        write_backup(target)
        logger.info("Backed up to %s before the upgrade to %s", target, head)
    upgrade_schema()
    logger.info("Upgraded the database from %s to %s", current or "none", head)
    return fresh


def is_known_revision(revision: str | None) -> bool:
    """Whether this version of Coffer can upgrade from a revision."""
    if revision is None:
        return False
    try:
        ScriptDirectory.from_config(alembic_config()).get_revision(revision)
    except CommandError:
        return False
    return True


def alembic_config() -> Config:
    """Where Alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config

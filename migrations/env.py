"""Runs migrations inside the app: each upgrade is one explicit transaction.

On SQLite a batch rebuild drops the table that others refer to, so foreign keys are off while it runs and are
checked before the commit; a rebuild also drops triggers, so those that guarded a table come back. On
PostgreSQL an advisory lock lets one upgrade run at a time.

To add a migration: change models/, then ``flask --app app db revision --autogenerate --rev-id 0002 -m words``
on a database that is at head; read what it wrote; journal columns are only added, and nullable. Before the
first release, 0001 itself is made again: delete it, then, with INSTANCE_DIR an empty folder,
``flask --app app db revision --autogenerate --rev-id 0001 -m foundation`` and ``ruff format`` and
``ruff check --fix`` on it; script.py.mako puts the append-only triggers in. tests/migrations holds it to the
models.
"""

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection, text

from models.base import UtcDateTime
from services.operations.schema import UPGRADE_LOCK

db = current_app.extensions["migrate"].db


def render_item(kind: str, item: Any, _context: Any) -> str | bool:
    """Migrations speak plain SQL types: the instant is an integer there."""
    return "sa.BigInteger()" if kind == "type" and isinstance(item, UtcDateTime) else False


def run(connection: Connection) -> None:
    """Run the migrations on an open transaction."""
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        render_as_batch=context.script.get_current_head() is not None,
        render_item=render_item,
        compare_type=True,
    )
    context.run_migrations()


def run_on_sqlite(connection: Connection) -> None:
    """Foreign keys off before BEGIN, triggers back after a rebuild, every reference checked."""
    driver = connection.connection.cursor()
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        with connection.begin():
            triggers = guards(connection)
            run(connection)
            restore_guards(connection, triggers)
            broken = connection.execute(text("PRAGMA foreign_key_check")).all()
            if broken:
                raise RuntimeError(f"The migration leaves {len(broken)} broken references, e.g. {broken[0]}.")
    finally:
        driver.execute("PRAGMA foreign_keys = ON")
        driver.close()


def guards(connection: Connection) -> dict[str, tuple[str, str]]:
    """Every trigger: its table and its SQL."""
    rows = connection.execute(text("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"))
    return {name: (table, sql) for name, table, sql in rows}


def restore_guards(connection: Connection, before: dict[str, tuple[str, str]]) -> None:
    """Create the triggers again that a table rebuild has dropped."""
    there = guards(connection)
    tables = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())
    for name, (table, sql) in before.items():
        if name not in there and table in tables:
            connection.exec_driver_sql(sql)


def run_on_postgresql(connection: Connection) -> None:
    """Wait for another upgrade to end, however long it takes."""
    with connection.begin():
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": UPGRADE_LOCK})
        run(connection)


with db.engine.connect().execution_options(coffer_write=True) as connection:
    if connection.dialect.name == "sqlite":
        run_on_sqlite(connection)
    else:
        run_on_postgresql(connection)

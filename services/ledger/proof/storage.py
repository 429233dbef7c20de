"""What the database itself must still refuse: the append-only triggers, and its own integrity."""

from sqlalchemy import text

from models.base import APPEND_ONLY, append_only_statements
from services.ledger.proof.report import Tally
from services.ledger.proof.snapshot import Snapshot
from services.statements import Statement

SQLITE_TRIGGERS = Statement(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
SQLITE_INTEGRITY = Statement(text("PRAGMA integrity_check(50)"))
SQLITE_FOREIGN_KEYS = Statement(text("PRAGMA foreign_key_check"))
POSTGRES_TRIGGERS = Statement(
    text(
        "SELECT t.tgname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
        "JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') "
        "AND pg_table_is_visible(c.oid)"
    )
)
POSTGRES_KEYS = Statement(
    text(
        "SELECT c.relname, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid "
        "WHERE NOT k.convalidated AND pg_table_is_visible(c.oid)"
    )
)


def check_triggers(snapshot: Snapshot) -> Tally:
    """Every append-only trigger is there, enabled, and says what it should."""
    tally = Tally("append-only", "the database refuses changes of what is append-only", "triggers")
    is_sqlite = snapshot.dialect_name == "sqlite"
    found = dict(snapshot.all(SQLITE_TRIGGERS if is_sqlite else POSTGRES_TRIGGERS))
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, snapshot.dialect_name, keys):
            if not statement.startswith("CREATE TRIGGER "):
                continue
            name = statement.split()[2]
            tally.checked += 1
            if name not in found:
                tally.fail(f"{table} has lost its trigger {name}: its rows can be changed")
            elif not _says_the_same(found[name], statement, table, is_sqlite):
                tally.fail(f"the trigger {name} of {table} does something else than refuse")
    return tally


def _says_the_same(found: str, statement: str, table: str, is_sqlite: bool) -> bool:
    if is_sqlite:
        return " ".join(found.split()) == " ".join(statement.split())
    return " ".join(found.split()) == f"BEGIN RAISE EXCEPTION '{table} is append-only'; END"


def check_integrity(snapshot: Snapshot) -> Tally:
    """SQLite: pages, indexes, CHECKs and foreign keys. PostgreSQL: no constraint was left unchecked."""
    tally = Tally("storage", "the database's own checks of pages, indexes and keys pass", "checks")
    if snapshot.dialect_name != "sqlite":
        tally.checked = 1
        for table, constraint in snapshot.all(POSTGRES_KEYS):
            tally.fail(f"the constraint {constraint} of {table} was never checked")
        return tally
    tally.checked = 2
    for (message,) in snapshot.all(SQLITE_INTEGRITY):
        if message != "ok":
            tally.fail(f"SQLite: {message}")
    for table, row_id, parent, _ in snapshot.all(SQLITE_FOREIGN_KEYS):
        tally.fail(f"row {row_id} of {table} names a row of {parent} that does not exist")
    return tally

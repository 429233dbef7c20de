"""The declarative base: naming convention, the UTC type, append-only triggers."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import DDL, BigInteger, Integer, MetaData, Table, event
from sqlalchemy.orm import DeclarativeBase, registry
from sqlalchemy.types import TypeDecorator

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# SQLite makes only an INTEGER primary key the row id; PostgreSQL wants the eight bytes spelled out.
RowId = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, kept as microseconds since 1970 (UTC): one form, one order, on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | int | None, dialect: Any) -> int | None:
        if value is None or isinstance(value, int):
            return value
        return (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


class Base(DeclarativeBase):
    registry = registry(
        metadata=MetaData(naming_convention=NAMING_CONVENTION), type_annotation_map={datetime: UtcDateTime}
    )


def one_of(column: str, values: tuple[str, ...]) -> str:
    """SQL for a CHECK that a column holds one of the values."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def append_only_statements(table_name: str, dialect_name: str, keys: tuple[str, ...]) -> list[str]:
    """The DDL by which a database itself refuses UPDATE, DELETE, REPLACE and TRUNCATE on a table.

    ``keys`` are the unique keys, comma-separated: on SQLite an INSERT OR REPLACE deletes the old row without
    firing its DELETE trigger (unless the connection asks for recursive triggers), so inserts of a key that
    is there are refused too.
    """
    if dialect_name == "sqlite":
        taken = " OR ".join(
            "(" + " AND ".join(f"{column} = NEW.{column}" for column in key.split(",")) + ")" for key in keys
        )
        refusal = f"SELECT RAISE(ABORT, '{table_name} is append-only')"
        return [
            f"CREATE TRIGGER {table_name}_no_update BEFORE UPDATE ON {table_name} BEGIN {refusal}; END",
            f"CREATE TRIGGER {table_name}_no_delete BEFORE DELETE ON {table_name} BEGIN {refusal}; END",
            f"CREATE TRIGGER {table_name}_no_replace BEFORE INSERT ON {table_name} "
            f"WHEN EXISTS (SELECT 1 FROM {table_name} WHERE {taken}) BEGIN {refusal}; END",
        ]
    function = f"{table_name}_append_only"
    return [
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$ "
        f"BEGIN RAISE EXCEPTION '{table_name} is append-only'; END $body$",
        f"CREATE TRIGGER {table_name}_no_change BEFORE UPDATE OR DELETE ON {table_name} "
        f"FOR EACH ROW EXECUTE FUNCTION {function}()",
        f"CREATE TRIGGER {table_name}_no_truncate BEFORE TRUNCATE ON {table_name} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
    ]


APPEND_ONLY: dict[str, tuple[str, ...]] = {}


def append_only(table: Table, *keys: str) -> None:
    """Put the append-only triggers on a table whenever it is created from the metadata."""
    APPEND_ONLY[table.name] = keys
    for dialect_name in ("sqlite", "postgresql"):
        for statement in append_only_statements(table.name, dialect_name, keys):
            event.listen(
                table, "after_create", DDL(statement.replace("%", "%%")).execute_if(dialect=dialect_name)
            )

"""Core statements for hot paths: compiled once per dialect, run on the pooled driver connection.

Building and compiling a statement on each call costs more than SQLite takes to run it. A ``Statement`` keeps
the SQL text and the order of its parameters; parameters must be what the driver takes as it is (integers,
text, booleans, None; instants as microseconds).
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Executable, Text, bindparam
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import NullType

from extensions import db


class OneOf(ColumnElement[bool]):
    """Whether a column of integers is one of a list, bound as JSON text: one statement for lists of any length."""

    inherit_cache = False
    type = NullType()  # of a Boolean SQLAlchemy would make `… = 1`, for which SQLite uses no index

    def __init__(self, column: ColumnElement[int], name: str):
        self.column = column
        self.numbers = bindparam(name, type_=Text)


@compiles(OneOf, "sqlite")
def _one_of_on_sqlite(element: OneOf, compiler: Any, **options: Any) -> str:
    column, numbers = (compiler.process(part, **options) for part in (element.column, element.numbers))
    return f"{column} IN (SELECT value FROM json_each({numbers}))"


@compiles(OneOf, "postgresql")
def _one_of_on_postgresql(element: OneOf, compiler: Any, **options: Any) -> str:
    column, numbers = (compiler.process(part, **options) for part in (element.column, element.numbers))
    return f"{column} IN (SELECT value::bigint FROM jsonb_array_elements_text(CAST({numbers} AS jsonb)))"


class Statement:
    """One Core statement, ready to run."""

    def __init__(self, clause: Executable):
        self._clause = clause
        self._compiled: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {}

    def run(self, **parameters: Any) -> Any:
        """Run in the session's transaction and return the driver's cursor."""
        transaction = db.session.registry().on_driver()
        sql, names, constants = self._for(transaction.dialect)
        return transaction.execute(sql, _bound(transaction.dialect, names, constants, parameters))

    def defer(self, **parameters: Any) -> None:
        """Run it where nobody looks at the outcome: on PostgreSQL together with the next statement or the commit."""
        transaction = db.session.registry().on_driver()
        sql, names, constants = self._for(transaction.dialect)
        transaction.defer(sql, _bound(transaction.dialect, names, constants, parameters))

    def run_on(self, connection: Connection, **parameters: Any) -> Any:
        """Run on a connection of the caller's own and return the driver's cursor."""
        sql, names, constants = self._for(connection.dialect)
        cursor = connection.connection.cursor()
        cursor.execute(sql, _bound(connection.dialect, names, constants, parameters))
        return cursor

    def run_many(self, rows: Iterable[dict[str, Any]]) -> None:
        """Run once per row of parameters."""
        connection = db.session.registry().on_driver()
        connection.flush()
        sql, names, constants = self._for(connection.dialect)
        cursor = connection.connection.cursor()
        cursor.executemany(sql, [_bound(connection.dialect, names, constants, row) for row in rows])
        cursor.close()

    def first(self, **parameters: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        cursor = self.run(**parameters)
        row = cursor.fetchone()
        cursor.close()
        return row

    def all(self, **parameters: Any) -> list[tuple[Any, ...]]:
        """Every row."""
        cursor = self.run(**parameters)
        rows = cursor.fetchall()
        cursor.close()
        return rows

    def count(self, **parameters: Any) -> int:
        """Run a change and return how many rows it touched."""
        cursor = self.run(**parameters)
        touched = cursor.rowcount
        cursor.close()
        return touched

    def _for(self, dialect: Dialect) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = self._clause.compile(dialect=dialect)  # type: ignore[attr-defined]
            names = tuple(compiled.positiontup or compiled.params)
            found = (str(compiled), names, dict(compiled.params))
            self._compiled[dialect.name] = found
        return found


def _bound(
    dialect: Dialect, names: tuple[str, ...], constants: dict[str, Any], parameters: dict[str, Any]
) -> Any:
    if dialect.positional:
        try:
            return list(map(parameters.__getitem__, names))
        except KeyError:
            return list(map((constants | parameters).__getitem__, names))
    return constants | parameters

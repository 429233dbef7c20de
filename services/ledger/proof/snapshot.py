"""One consistent view of the whole ledger on a connection of its own, while the app goes on writing."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, select, text

from extensions import db
from models.catalog import CreditType
from services.statements import Statement

CREDIT_TYPES = Statement(select(CreditType.__table__.c.id, CreditType.__table__.c.code))


class Snapshot:
    """A read transaction. SQLite: its snapshot begins with the first read; PostgreSQL: REPEATABLE READ."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self.dialect_name = connection.dialect.name
        self.credit_types: dict[int, str] = dict(self.all(CREDIT_TYPES))

    def all(self, statement: Statement, **parameters: int | str | None) -> list[tuple]:
        """Every row of a statement."""
        cursor = statement.run_on(self._connection, **parameters)
        rows = cursor.fetchall()
        cursor.close()
        return rows

    def first(self, statement: Statement, **parameters: int | str | None) -> tuple | None:
        """The first row, or None."""
        cursor = statement.run_on(self._connection, **parameters)
        row = cursor.fetchone()
        cursor.close()
        return row


@contextmanager
def snapshot() -> Iterator[Snapshot]:
    """Open a snapshot and let it go."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        with connection.begin() if not connection.in_transaction() else connection.get_transaction():
            yield Snapshot(connection)

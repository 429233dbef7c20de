"""The session: its transaction begins on the driver, and SQLAlchemy joins it where the ORM is used.

A ``Session`` begins, provisions and ends a transaction in some sixty microseconds, more than all the SQL of a
spend. Hot paths run ready statements on the driver's connection and need none of that; whatever uses the ORM
finds the same transaction.
"""

from typing import Any

from flask_sqlalchemy.session import Session
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import Dialect

# Set on a SQLAlchemy connection whose transaction has been begun on the driver already.
JOINED = "coffer_joined"


class DriverTransaction:
    """An open transaction on a pooled driver connection."""

    __slots__ = ("_pooled", "connection", "dialect", "is_write", "joined")

    def __init__(self, engine: Engine, *, is_write: bool):
        self._pooled = engine.raw_connection()
        self.connection: Any = self._pooled.driver_connection
        self.dialect: Dialect = engine.dialect
        self.joined: Connection | None = None
        self.is_write = is_write
        if self.dialect.name == "sqlite":
            try:
                self.connection.execute("BEGIN IMMEDIATE" if is_write else "BEGIN")
            except BaseException:
                self._pooled.close()
                raise

    def join(self, engine: Engine) -> Connection:
        """SQLAlchemy's connection on this transaction."""
        if self.joined is None:
            self.joined = Connection(engine, connection=self._pooled).execution_options(**{JOINED: True})
            self.joined.begin()
        return self.joined

    def end(self, *, commit: bool) -> None:
        """Commit or roll back, and give the connection back to the pool."""
        try:
            if commit:
                self.connection.commit()
            else:
                self.connection.rollback()
        finally:
            (self.joined or self._pooled).close()


class DriverSession(Session):
    """Flask-SQLAlchemy's session over a ``DriverTransaction``."""

    _on_driver: DriverTransaction | None = None

    def on_driver(self, *, write: bool = False) -> DriverTransaction:
        """The present transaction, begun where there is none."""
        if self._on_driver is None:
            self._on_driver = DriverTransaction(self._db.engine, is_write=write)
        return self._on_driver

    def get_bind(self, *arguments: Any, bind: Any = None, **options: Any) -> Any:
        """SQLAlchemy asks this before it runs anything: it joins the transaction."""
        return self.on_driver().join(self._db.engine) if bind is None else bind

    def commit(self) -> None:
        """Flush, and commit the driver's transaction."""
        if self.in_transaction() or not self._is_clean():
            super().commit()
        self._end(commit=True)

    def rollback(self) -> None:
        """Undo what the transaction did, in the database and in the session's objects."""
        if self.in_transaction():
            super().rollback()
        self._end(commit=False)

    def close(self) -> None:
        """Let go of everything; what was not committed is undone."""
        if self.in_transaction() or len(self.identity_map) or not self._is_clean():
            super().close()
        self._end(commit=False)

    def _end(self, *, commit: bool) -> None:
        ended, self._on_driver = self._on_driver, None
        if ended is not None:
            ended.end(commit=commit)

"""The session: its transaction begins on the driver, and SQLAlchemy joins it where the ORM is used.

A ``Session`` begins, provisions and ends a transaction in some sixty microseconds, more than all the SQL of a
spend. Hot paths run ready statements on the driver's connection and need none of that; whatever uses the ORM
finds the same transaction.
"""

import functools
from typing import Any

from flask_sqlalchemy.session import Session
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import Dialect

# Set on a SQLAlchemy connection whose transaction has been begun on the driver already.
JOINED = "coffer_joined"


@functools.cache
def _pipelines_are_supported() -> bool:
    import psycopg  # only where PostgreSQL is used

    return psycopg.Pipeline.is_supported()


class DriverTransaction:
    """An open transaction on a pooled driver connection.

    On PostgreSQL a round trip costs more than most statements. A statement whose outcome nobody looks at may
    wait for the next one, or for the commit, and goes out with it in one trip: the server runs them in order.
    """

    __slots__ = ("_deferred", "_pipelines", "_pooled", "connection", "dialect", "is_write", "joined")

    def __init__(self, engine: Engine, *, is_write: bool):
        self._pooled = engine.raw_connection()
        self.connection: Any = self._pooled.driver_connection
        self.dialect: Dialect = engine.dialect
        self.joined: Connection | None = None
        self._deferred: list[tuple[str, Any]] = []
        self._pipelines = self.dialect.driver == "psycopg" and _pipelines_are_supported()
        self._begin(is_write)

    def _begin(self, is_write: bool) -> None:
        self.is_write = is_write
        if self.dialect.name == "sqlite":
            try:
                self.connection.execute("BEGIN IMMEDIATE" if is_write else "BEGIN")
            except BaseException:
                self._pooled.close()
                raise

    def begin_anew(self, *, is_write: bool) -> None:
        """End what has been read and begin again on the same connection; the ORM must not have joined."""
        assert self.joined is None and not self._deferred
        if self.dialect.name != "sqlite" and self.connection.info.transaction_status.name == "INTRANS":
            self.is_write = is_write  # under READ COMMITTED each statement sees the newest anyway
            return
        try:
            self.connection.rollback()
        except BaseException:
            self._pooled.close()
            raise
        self._begin(is_write)

    def execute(self, sql: str, parameters: Any) -> Any:
        """Run a statement, those that wait before it; the driver's cursor."""
        cursor = self.connection.cursor()
        if not self._pipelines or (not self._deferred and self._has_begun()):
            cursor.execute(sql, parameters)
            return cursor
        with self.connection.pipeline():  # with the BEGIN that the driver sends first
            self._send_deferred()
            cursor.execute(sql, parameters)
        return cursor

    def defer(self, sql: str, parameters: Any) -> None:
        """Run a statement with the next one or the commit, where that saves a trip; what fails, fails there."""
        if self._pipelines:
            self._deferred.append((sql, parameters))
        else:
            self.connection.cursor().execute(sql, parameters).close()

    def flush(self) -> None:
        """Run what waits."""
        if self._deferred:
            with self.connection.pipeline():
                self._send_deferred()

    def _has_begun(self) -> bool:
        return self.connection.info.transaction_status.name != "IDLE"

    def _send_deferred(self) -> None:
        waiting, self._deferred = self._deferred, []
        for sql, parameters in waiting:
            self.connection.cursor().execute(sql, parameters)

    def join(self, engine: Engine) -> Connection:
        """SQLAlchemy's connection on this transaction."""
        self.flush()
        if self.joined is None:
            self.joined = Connection(engine, connection=self._pooled).execution_options(**{JOINED: True})
            self.joined.begin()
        return self.joined

    def end(self, *, commit: bool) -> None:
        """Commit or roll back, and give the connection back to the pool."""
        try:
            if not commit:
                self._deferred = []
                self.connection.rollback()
            elif self._deferred:
                with self.connection.pipeline():
                    self._send_deferred()
                    self.connection.commit()
            else:
                self.connection.commit()
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

    def is_clean(self) -> bool:
        """Whether nothing waits to be flushed; asking for ``new`` and ``dirty`` would make two sets."""
        return self._is_clean()

    def begin_unit(self) -> None:
        """Begin a transaction that writes; what has been read so far is forgotten, so that it sees the newest."""
        if self.in_transaction() or self._on_driver is None or self._on_driver.joined is not None:
            self.rollback()
            self.on_driver(write=True)
            return
        try:
            self._on_driver.begin_anew(is_write=True)
        except BaseException:
            self._on_driver = None  # it has given its connection back
            raise

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

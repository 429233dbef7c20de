"""How Coffer opens its database: pragmas, BEGIN, pool. Bound to the engine by ``create_app``."""

from typing import Any

from sqlalchemy import Engine, event

import sqlite_library
from config import Settings
from database_session import JOINED


def engine_options(settings: Settings) -> dict[str, Any]:
    """Options of the engine for the configured database."""
    if settings.database_url.startswith("sqlite"):
        return {
            "module": sqlite_library.sqlite,
            "connect_args": {"check_same_thread": False, "timeout": 10, "cached_statements": 256},
            "pool_size": settings.server_threads + 8,
            "max_overflow": 64,
            # The connection used last: SQLite drops a connection's page cache when another one has written.
            "pool_use_lifo": True,
        }
    return {
        "pool_size": settings.server_threads + 4,
        "max_overflow": 16,
        "pool_pre_ping": True,
        "pool_timeout": 10,
        "connect_args": {
            "connect_timeout": 5,
            "options": "-c timezone=UTC -c lock_timeout=10s -c statement_timeout=60s",
        },
    }


def listen(engine: Engine) -> None:
    """Prepare each new connection and issue BEGIN ourselves on SQLite."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        sqlite_library.prepare(connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        options = connection.get_execution_options()
        if not options.get(JOINED):
            write = options.get("coffer_write")
            connection.connection.cursor().execute("BEGIN IMMEDIATE" if write else "BEGIN")

"""What the sandbox knows: Stripe objects as JSON in a SQLite file of its own, and the events about them."""

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.problems import missing
from sqlite_library import sqlite

API_VERSION = "2026-10-28.endive"
Object = dict[str, Any]
SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_kind ON objects (kind, number);
CREATE TABLE IF NOT EXISTS replies (
  key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
  number INTEGER PRIMARY KEY, event_id TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  next_at REAL NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'pending');
"""


def random_id(prefix: str) -> str:
    """An id in Stripe's style."""
    return f"{prefix}_{secrets.token_hex(12)}"


class Store:
    """Objects, replies to idempotency keys, deliveries. One connection, one writer at a time."""

    def __init__(self, path: str | Path, now: Callable[[], datetime] | None = None):
        self._lock = threading.RLock()
        self._connection = sqlite.connect(str(path), check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA busy_timeout = 10000")
        self._connection.executescript(SCHEMA)
        self._depth = 0
        self._now = now or (lambda: datetime.now(UTC))
        self.on_event: Callable[[], None] = lambda: None
        self.public_base_url = ""

    def now(self) -> int:
        """The sandbox's time in seconds; it moves with the product's clock."""
        return int(self._now().timestamp())

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """One transaction; a change and its events are written together or not at all."""
        with self._lock:
            if self._depth:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._depth -= 1
        self.on_event()

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def put(self, item: Object) -> Object:
        """Insert or replace an object."""
        self.query(
            "INSERT INTO objects (id, kind, body) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            item["id"], item["object"], json.dumps(item),
        )  # fmt: skip
        return item

    def get(self, kind: str, object_id: str, param: str = "id") -> Object:
        """One object. Raises StripeProblem where there is none of that kind."""
        rows = self.query("SELECT body FROM objects WHERE id = ? AND kind = ?", object_id, kind)
        if not rows:
            raise missing(kind.replace(".", " ").replace("_", " "), object_id, param)
        return json.loads(rows[0][0])

    def find(self, kind: str, object_id: str | None) -> Object | None:
        """One object, or None."""
        rows = self.query("SELECT body FROM objects WHERE id = ? AND kind = ?", object_id, kind)
        return json.loads(rows[0][0]) if rows else None

    def all(self, kind: str) -> Iterator[Object]:
        """Every object of a kind, newest first."""
        for (body,) in self.query("SELECT body FROM objects WHERE kind = ? ORDER BY number DESC", kind):
            yield json.loads(body)

    def new(self, kind: str, prefix: str, **fields: Any) -> Object:
        """A new object with what every one has."""
        return {
            "id": random_id(prefix),
            "object": kind,
            "created": self.now(),
            "livemode": False,
            **fields,
        }

    def tell(self, event_type: str, item: Object, *, copies: int = 1) -> None:
        """Record an event about an object; ``copies`` tell one fact under several ids."""
        for _ in range(copies):
            event = self.new(
                "event", "evt", api_version=API_VERSION, type=event_type, pending_webhooks=1,
                data={"object": item}, request={"id": random_id("req"), "idempotency_key": None},
            )  # fmt: skip
            self.put(event)
            self.query("INSERT INTO deliveries (event_id) VALUES (?)", event["id"])

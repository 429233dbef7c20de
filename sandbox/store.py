"""What the sandbox knows: Stripe objects as JSON in a SQLite file of its own, and the events about them."""

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.problems import StripeProblem, missing
from sandbox.rendering import public
from sqlite_library import sqlite

API_VERSION = "2026-10-28.endive"
Object = dict[str, Any]
SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_kind ON objects (kind, number);
CREATE INDEX IF NOT EXISTS objects_customer ON objects (kind, json_extract(body, '$.customer'));
CREATE INDEX IF NOT EXISTS objects_intent ON objects (kind, json_extract(body, '$.payment_intent'));
CREATE INDEX IF NOT EXISTS objects_open ON objects (json_extract(body, '$.expires_at'))
  WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open';
CREATE INDEX IF NOT EXISTS objects_debits ON objects (json_extract(body, '$._debited_at'))
  WHERE kind = 'payment_intent' AND json_extract(body, '$.status') = 'processing';
CREATE INDEX IF NOT EXISTS objects_drafts ON objects (json_extract(body, '$.automatically_finalizes_at'))
  WHERE kind = 'invoice' AND json_extract(body, '$.status') = 'draft';
CREATE INDEX IF NOT EXISTS objects_going ON objects (number)
  WHERE kind = 'subscription' AND json_extract(body, '$.status') IN ('active', 'past_due', 'incomplete');
CREATE TABLE IF NOT EXISTS replies (
  key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
  kept_at INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS deliveries (
  number INTEGER PRIMARY KEY, event_id TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  next_at REAL NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'pending');
CREATE INDEX IF NOT EXISTS deliveries_pending ON deliveries (number) WHERE state = 'pending';
"""


def random_id(prefix: str) -> str:
    """An id in Stripe's style."""
    return f"{prefix}_{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is narrowed to. ``index``: one whose own condition the conditions repeat word for word."""

    conditions: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    index: str = ""

    def where(self, path: str, value: Any) -> "Query":
        """Only objects whose field at a JSON path has a value."""
        value = int(value) if isinstance(value, bool) else value
        return self.also(f"json_extract(body, '{path}') = ?", value)

    def any_of(self, path: str, values: list[Any]) -> "Query":
        """Only objects whose field at a JSON path has one of some values."""
        marks = ", ".join("?" * len(values))
        return self.also(f"json_extract(body, '{path}') IN ({marks})", *values)

    def created(self, bounds: dict[str, int]) -> "Query":
        """Only objects created within bounds named gt, gte, lt, lte."""
        query, signs = self, {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
        for name, bound in bounds.items():
            query = query.also(f"json_extract(body, '$.created') {signs[name]} ?", bound)
        return query

    def also(self, condition: str, *values: Any) -> "Query":
        """One more condition in SQL."""
        return replace(self, conditions=(*self.conditions, condition), values=(*self.values, *values))


class Store:
    """Objects, replies to idempotency keys, deliveries. One connection, one writer at a time.

    ``ids_per_fact``: under how many event ids each fact is told (Stripe may use two for one).
    """

    def __init__(self, path: str | Path, now: Callable[[], datetime] | None = None):
        self._lock = threading.RLock()
        self._connection = sqlite.connect(str(path), check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA busy_timeout = 10000")
        self._connection.executescript(SCHEMA)
        self._complete_schema()
        self._depth = 0
        self._as_of = threading.local()
        self._told = False
        self._origin: dict[str, str | None] = {"id": None, "idempotency_key": None}
        self._now = now or (lambda: datetime.now(UTC))
        self.on_event: Callable[[], None] = lambda: None
        self.ids_per_fact = 1
        self.public_base_url = ""
        self.seller = "Demo shop"
        self.tax_percent = 0

    def now(self) -> int:
        """The sandbox's time in seconds; it moves with the product's clock."""
        moment = getattr(self._as_of, "moment", None)
        return int(self._now().timestamp()) if moment is None else moment

    @contextmanager
    def as_of(self, moment: int) -> Iterator[None]:
        """In this thread it is a past moment, for what was due then and is done only now."""
        self._as_of.moment = moment
        try:
            yield
        finally:
            self._as_of.moment = None

    def _complete_schema(self) -> None:
        """A file of an older version gets what it lacks; keys without a time end at once."""
        known = [name for _, name, *_ in self._connection.execute("PRAGMA table_info(replies)")]
        if "kept_at" not in known:
            self._connection.execute("ALTER TABLE replies ADD COLUMN kept_at INTEGER NOT NULL DEFAULT 0")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def change(self, request_id: str | None = None, key: str | None = None) -> Iterator[None]:
        """One transaction; a change and its events are written together or not at all."""
        with self._lock:
            if self._depth:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth, self._told = 1, False
            self._origin = {"id": request_id, "idempotency_key": key}
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._depth = 0
            told = self._told
        if told:
            self.on_event()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A part of a change that is undone where it fails, except for refusals that have an effect."""
        self.query("SAVEPOINT attempt")
        try:
            yield
        except BaseException as error:
            if not (isinstance(error, StripeProblem) and error.has_effect):
                self.query("ROLLBACK TO attempt")
            self.query("RELEASE attempt")
            raise
        else:
            self.query("RELEASE attempt")

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

    def remove(self, object_id: str) -> None:
        """Forget an object."""
        self.query("DELETE FROM objects WHERE id = ?", object_id)

    def get(self, kind: str, object_id: str, param: str = "id") -> Object:
        """One object. Raises StripeProblem where there is none of that kind."""
        found = self.find(kind, object_id)
        if found is None:
            raise missing(kind.replace(".", " ").replace("_", " "), object_id, param)
        return found

    def find(self, kind: str, object_id: str | None) -> Object | None:
        """One object, or None."""
        rows = self.query("SELECT body FROM objects WHERE id = ? AND kind = ?", object_id, kind)
        return json.loads(rows[0][0]) if rows else None

    def number_of(self, kind: str, object_id: str) -> int | None:
        """Where an object stands in the order of creation; None where there is none."""
        rows = self.query("SELECT number FROM objects WHERE id = ? AND kind = ?", object_id, kind)
        return rows[0][0] if rows else None

    def all(self, kind: str) -> Iterator[Object]:
        """Every object of a kind, newest first."""
        return iter(self.select(kind))

    def select(
        self, kind: str, query: Query | None = None, *, limit: int = -1, beyond: int | None = None,
        backwards: bool = False,
    ) -> list[Object]:  # fmt: skip
        """Objects of a kind, newest first, after number ``beyond``; ``backwards``: from there to the newest."""
        query = (query or Query()).also("kind = ?", kind)
        if beyond is not None:
            query = query.also("number > ?" if backwards else "number < ?", beyond)
        rows = self.query(
            f"SELECT body FROM objects {f'INDEXED BY {query.index}' if query.index else ''} "
            f"WHERE {' AND '.join(query.conditions)} "
            f"ORDER BY number {'' if backwards else 'DESC'} LIMIT ?",
            *query.values, limit,
        )  # fmt: skip
        return [json.loads(body) for (body,) in rows]

    def new(self, kind: str, prefix: str, **fields: Any) -> Object:
        """A new object with what every one has."""
        return {
            "id": random_id(prefix),
            "object": kind,
            "created": self.now(),
            "livemode": False,
            **fields,
        }

    def tell(
        self, event_type: str, item: Object, *, copies: int = 1, before: dict[str, Any] | None = None,
        account: str | None = None,
    ) -> None:  # fmt: skip
        """Record an event about an object. ``copies`` tell one fact under several ids.

        ``before``: what an update changed, with the old values. ``account``: the connected one it happened at.
        """
        data = {"object": public(item)} | ({"previous_attributes": public(before)} if before else {})
        for _ in range(copies * self.ids_per_fact):
            event = self.new(
                "event", "evt", api_version=API_VERSION, type=event_type, pending_webhooks=1, data=data,
                request=self._origin, **({"account": account} if account else {}),
            )  # fmt: skip
            event["created"] = int(self._now().timestamp())  # told now, though of what was due before
            self.put(event)
            self.query("INSERT INTO deliveries (event_id, next_at) VALUES (?, ?)", event["id"], time.time())
        self._told = True

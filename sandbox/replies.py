"""Idempotency keys: the first status and body of a key are kept for a day and given again."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.problems import StripeProblem, invalid
from sandbox.store import Object, Store

MOST_LETTERS = 255
KEPT_SECONDS = 24 * 3_600


def fingerprint(method: str, path: str, raw: dict[str, Any]) -> str:
    """What a key stands for: the call with its parameters, in any order."""
    return hashlib.sha256(f"{method} {path} {json.dumps(raw, sort_keys=True)}".encode()).hexdigest()


class Replies:
    """The replies that are kept, and which keys are at work."""

    def __init__(self, store: Store):
        self._store = store
        store.query("DELETE FROM replies WHERE kept_at <= ?", store.now() - KEPT_SECONDS)
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def claim(self, key: str | None) -> Iterator[None]:
        """Hold a key while its call runs. Raises StripeProblem where another call holds it."""
        if key is None:
            yield
            return
        if not 0 < len(key) <= MOST_LETTERS:
            raise invalid("Idempotency keys must have between 1 and 255 characters.")
        with self._lock:
            if key in self._busy:
                raise StripeProblem(
                    409, "idempotency_error", code="idempotency_key_in_use",
                    message="There is currently another in-progress request using this Idempotent Key. It "
                    "probably means that you sent the same request twice, and the other is still going on.",
                )  # fmt: skip
            self._busy.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(key)

    def find(self, key: str | None, mark: str) -> tuple[int, Object] | None:
        """The reply kept for a key, for a day by the sandbox's clock.

        Raises StripeProblem where the key stands for another call.
        """
        if key is None:
            return None
        rows = self._store.query(
            "SELECT fingerprint, status, body FROM replies WHERE key = ? AND kept_at > ?",
            key, self._store.now() - KEPT_SECONDS,
        )  # fmt: skip
        if not rows:
            return None
        kept_mark, status, body = rows[0]
        if kept_mark != mark:
            raise StripeProblem(
                400, "idempotency_error",
                "Keys for idempotent requests can only be used with the same parameters they were first "
                f"used with. Try using a key other than '{key}' if you meant to execute a different request.",
            )  # fmt: skip
        return status, json.loads(body)

    def keep(self, key: str | None, mark: str, status: int, body: Object) -> None:
        """Keep a reply; in the same transaction as its effect."""
        if key is not None:
            self._store.query(
                "INSERT INTO replies (key, fingerprint, status, body, kept_at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, status = excluded.status, "
                "body = excluded.body, kept_at = excluded.kept_at",
                key, mark, status, json.dumps(body), self._store.now(),
            )  # fmt: skip

    def forget(self) -> None:
        """Forget every reply, as Stripe may after a day."""
        self._store.query("DELETE FROM replies")

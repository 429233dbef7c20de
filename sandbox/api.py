"""The API as a WSGI callable: key, parameters, idempotency, expansion, errors."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterable
from typing import Any

from sandbox import checkout, customers, invoices, payments  # noqa: F401  (they fill the table of routes)
from sandbox.faults import Fault, Faults
from sandbox.parameters import decode
from sandbox.problems import StripeProblem, invalid
from sandbox.routing import Call, expanded, find_route
from sandbox.store import Object, Store, random_id

MOST_BODY_BYTES = 1_000_000
Environ = dict[str, Any]
Headers = list[tuple[str, str]]


class ConnectionCut(Exception):
    """The connection is to be cut without an answer. ``half``: after half of it."""

    def __init__(self, half: bytes = b""):
        super().__init__()
        self.half = half


class Api:
    """The sandbox's API. One instance serves many threads."""

    def __init__(self, store: Store, secret_key: str):
        self.store = store
        self.secret_key = secret_key
        self.faults = Faults()
        self.calls: list[tuple[str, str, dict[str, Any]]] = []  # what tests look at
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """WSGI."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        fault = self.faults.take(method, path)
        if fault and fault.kind == "reset":
            raise ConnectionCut()
        if fault and fault.kind == "slow":
            time.sleep(fault.seconds)
        status, body, extra = self._answer(environ, method, path, fault)
        payload = json.dumps(body).encode()
        if fault:
            status, payload = _after_effect(fault, status, payload)
        headers = [
            ("Content-Type", "application/json"), ("Content-Length", str(len(payload))),
            ("Request-Id", random_id("req")), ("Stripe-Version", "2026-10-28.endive"), *extra,
        ]  # fmt: skip
        start_response(f"{status} {_REASONS.get(status, 'Error')}", headers)
        return [payload]

    def _answer(
        self, environ: Environ, method: str, path: str, fault: Fault | None
    ) -> tuple[int, Object, Headers]:
        try:
            self._authorise(environ)
            if fault and fault.kind in ("500", "429"):
                raise _refusal_of(fault)
            return self._run(environ, method, path)
        except StripeProblem as problem:
            retry = [("Stripe-Should-Retry", "true")] if problem.status == 429 else []
            return problem.status, problem.body, retry

    def _authorise(self, environ: Environ) -> None:
        scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "basic":
            given = base64.b64decode(given).decode(errors="replace").split(":")[0]
        if given != self.secret_key:
            raise StripeProblem(401, "invalid_request_error", "Invalid API Key provided.")

    def _run(self, environ: Environ, method: str, path: str) -> tuple[int, Object, Headers]:
        found, object_id = find_route(method, path)
        text = _body(environ) if method == "POST" else environ.get("QUERY_STRING", "")
        raw = decode(text)
        key = environ.get("HTTP_IDEMPOTENCY_KEY") if method == "POST" else None
        fingerprint = hashlib.sha256(
            f"{method} {path} {json.dumps(raw, sort_keys=True)}".encode()
        ).hexdigest()
        if key:
            replay = self._replay(key, fingerprint)
            if replay:
                return replay
        try:
            given = found.shape(raw)
            self.calls.append((method, path, raw))
            return self._execute(found.handle, Call(self.store, object_id, path, given), key, fingerprint)
        finally:
            if key:
                with self._lock:
                    self._busy.discard(key)

    def _execute(
        self, handle: Any, call: Call, key: str | None, fingerprint: str
    ) -> tuple[int, Object, Headers]:
        """Run a handler; its effect, its events and the kept reply are one transaction."""
        paths = call.given.get("expand", [])
        with self.store.change():
            try:
                status, body = 200, _public(expanded(self.store, handle(call), paths))
            except StripeProblem as problem:
                if not problem.kept:
                    raise
                status, body = problem.status, _public(problem.body)
            if key:
                self.store.query(
                    "INSERT INTO replies (key, fingerprint, status, body) VALUES (?, ?, ?, ?)",
                    key, fingerprint, status, json.dumps(body),
                )  # fmt: skip
        return status, body, []

    def _replay(self, key: str, fingerprint: str) -> tuple[int, Object, Headers] | None:
        """The first answer of a key; a refusal where it is at work or was used for something else."""
        if len(key) > 255:
            raise invalid("Idempotency keys can have at most 255 characters.")
        with self._lock:
            if key in self._busy:
                raise StripeProblem(409, "idempotency_error", "Another request with this key is in progress.",
                                    code="idempotency_key_in_use")  # fmt: skip
            self._busy.add(key)
        rows = self.store.query("SELECT fingerprint, status, body FROM replies WHERE key = ?", key)
        if not rows:
            return None
        with self._lock:
            self._busy.discard(key)
        if rows[0][0] != fingerprint:
            raise StripeProblem(
                400, "idempotency_error",
                "Keys for idempotent requests can only be used with the same parameters they were first "
                "used with.",
            )  # fmt: skip
        return rows[0][1], json.loads(rows[0][2]), [("Idempotent-Replayed", "true")]


_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 404: "Not Found",
            409: "Conflict", 429: "Too Many Requests", 500: "Internal Server Error"}  # fmt: skip


def _body(environ: Environ) -> str:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > MOST_BODY_BYTES:
        raise invalid("The request body is too large.")
    return environ["wsgi.input"].read(length).decode()


def _public(item: Any) -> Any:
    """What begins with "_" is the sandbox's own."""
    if isinstance(item, dict):
        return {name: _public(value) for name, value in item.items() if not name.startswith("_")}
    return [_public(part) for part in item] if isinstance(item, list) else item


def _refusal_of(fault: Fault) -> StripeProblem:
    if fault.kind == "429":
        return StripeProblem(429, "invalid_request_error", "Lock timeout.", code="lock_timeout")
    return StripeProblem(500, "api_error", "Something went wrong on Stripe's end.")


def _after_effect(fault: Fault, status: int, payload: bytes) -> tuple[int, bytes]:
    """Trouble after the effect: no answer, half an answer, or a 500 in its place."""
    match fault.kind:
        case "effect_then_reset":
            raise ConnectionCut()
        case "half_answer":
            raise ConnectionCut(half=payload[: len(payload) // 2])
        case "effect_then_timeout":
            time.sleep(fault.seconds)
            raise ConnectionCut()
        case "effect_then_500":
            return 500, json.dumps({"error": {"type": "api_error", "message": "Internal error."}}).encode()
    return status, payload

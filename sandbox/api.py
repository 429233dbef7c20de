"""The API as a WSGI callable: key, parameters, idempotency, expansion, errors."""

import base64
import binascii
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from sandbox import (  # noqa: F401  (they fill the table of routes)
    account,
    catalog,
    checkout,
    connect,
    coupons,
    customers,
    disputes,
    intents,
    invoices,
    methods,
    portal,
    refunds,
    setups,
    subscriptions,
    transfers,
)
from sandbox.faults import Fault, Faults
from sandbox.parameters import decode
from sandbox.problems import StripeProblem, invalid
from sandbox.rendering import public as _public
from sandbox.rendering import rendered
from sandbox.replies import Replies, fingerprint
from sandbox.routing import Call, find_route
from sandbox.store import API_VERSION, Object, Store, random_id

logger = logging.getLogger("coffer.sandbox")
MOST_BODY_BYTES = 1_000_000
CALLS_REMEMBERED = 10_000
Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Answer = tuple[int, Object, Headers]


class ConnectionCut(Exception):
    """The connection is to be cut without an answer. ``half``: after half of it."""

    def __init__(self, half: bytes = b""):
        super().__init__()
        self.half = half


class Api:
    """The sandbox's API. One instance serves many threads.

    ``calls``: method, path and parameters of what was executed, for tests to look at. ``on_answer`` is told
    method, path, parameters, status and body of every answer. ``refuse_when`` sees a call's headers and may
    name a reason to refuse it with status 500: the place for a rule such as "no call while a unit of work is
    open", where the caller says so in a header.
    """

    def __init__(self, store: Store, secret_key: str):
        self.store = store
        self.secret_key = secret_key
        self.faults = Faults()
        self.replies = Replies(store)
        self.calls: deque[tuple[str, str, dict[str, Any]]] = deque(maxlen=CALLS_REMEMBERED)
        self.on_answer: Callable[[str, str, dict[str, Any], int, Object], None] = lambda *_: None
        self.refuse_when: Callable[[Mapping[str, str]], str | None] = lambda headers: None

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """WSGI."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        fault = self.faults.take(method, path)
        if fault and fault.kind == "reset":
            raise ConnectionCut()
        if fault and fault.kind == "slow":
            time.sleep(fault.seconds)
        request_id = random_id("req")
        raw, (status, body, extra) = self._answer(environ, method, path, fault, request_id)
        self.on_answer(method, path, raw, status, body)
        payload = json.dumps(body).encode()
        if fault:
            _cut_after_effect(fault, payload)
        headers = [
            ("Content-Type", "application/json"), ("Content-Length", str(len(payload))),
            ("Request-Id", request_id), ("Stripe-Version", API_VERSION), *extra,
        ]  # fmt: skip
        if key := environ.get("HTTP_IDEMPOTENCY_KEY"):
            headers.append(("Idempotency-Key", key))
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [payload]

    def _answer(
        self, environ: Environ, method: str, path: str, fault: Fault | None, request_id: str
    ) -> tuple[dict[str, Any], Answer]:
        """Parameters and answer of a call; whatever goes wrong is an answer too."""
        raw: dict[str, Any] = {}
        try:
            self._admit(environ)
            if fault and fault.kind == "429":
                raise StripeProblem(429, "invalid_request_error", "Lock timeout.", code="lock_timeout")
            if fault and fault.kind == "500" and not fault.kept:
                raise _server_error()
            raw = decode(_text(environ, method))
            return raw, self._run(environ, method, path, raw, fault, request_id)
        except StripeProblem as problem:
            extra = [("Stripe-Should-Retry", "true")] if problem.status == 429 else []
            if problem.status == 401:
                extra.append(("WWW-Authenticate", 'Basic realm="Stripe"'))
            return raw, (problem.status, _public(problem.body), extra)
        except Exception:
            logger.exception("the sandbox failed at %s %s", method, path)
            return raw, (500, _server_error().body, [])

    def _admit(self, environ: Environ) -> None:
        """Whether the caller may call at all. Raises StripeProblem."""
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").title(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        given = _key_of(headers.get("Authorization", ""))
        if not given:
            raise StripeProblem(401, "invalid_request_error", "You did not provide an API key.")
        if given != self.secret_key:
            raise StripeProblem(401, "invalid_request_error", f"Invalid API Key provided: {given[:8]}***")
        if headers.get("Stripe-Account"):
            raise invalid("The sandbox takes no calls on behalf of a connected account.")
        if reason := self.refuse_when(headers):
            raise StripeProblem(500, "api_error", reason)

    def _run(
        self, environ: Environ, method: str, path: str, raw: dict[str, Any], fault: Fault | None,
        request_id: str,
    ) -> Answer:  # fmt: skip
        """Replay the key's answer, or execute the call and keep its answer."""
        found, object_id = find_route(method, path)
        key = environ.get("HTTP_IDEMPOTENCY_KEY") if method == "POST" else None
        mark = fingerprint(method, path, raw)
        with self.replies.claim(key):
            kept = self.replies.find(key, mark)
            if kept:
                return *kept, [("Idempotent-Replayed", "true"), *_advice(kept[0])]
            given = found.shape(raw)
            self.calls.append((method, path, raw))
            if fault and fault.kind == "busy":
                time.sleep(fault.seconds)
            with self.store.change(request_id, key):
                if fault and fault.kind == "500":
                    status, body = 500, _server_error().body
                else:
                    status, body = self._execute(found.handle, Call(self.store, object_id, path, given))
                hidden = _server_error().body if fault and fault.kind == "effect_then_500" else None
                if hidden and fault and fault.kept:
                    status, body, hidden = 500, hidden, None
                self.replies.keep(key, mark, status, body)
        return (500, hidden, []) if hidden else (status, body, _advice(status))

    def _execute(self, handle: Any, call: Call) -> tuple[int, Object]:
        """Run a handler: its effect stays where it succeeds, and where a payment is declined."""
        try:
            with self.store.attempt():
                return 200, rendered(self.store, handle(call), call.given.get("expand", []))
        except StripeProblem as problem:
            return problem.status, _public(problem.body)


def _advice(status: int) -> Headers:
    """A kept error of Stripe's own is given again under its key: to repeat the call is of no use."""
    return [("Stripe-Should-Retry", "false")] if status == 500 else []


def _key_of(authorization: str) -> str:
    """The API key of an Authorization header, Bearer or Basic."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "basic":
        return given.strip() if scheme.lower() == "bearer" else ""
    try:
        return base64.b64decode(given).decode().split(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _text(environ: Environ, method: str) -> str:
    """The parameters as text. Raises StripeProblem."""
    if method != "POST":
        return environ.get("QUERY_STRING", "")
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > MOST_BODY_BYTES:
        raise invalid("The request body is too large.")
    try:
        text = environ["wsgi.input"].read(length).decode()
    except UnicodeDecodeError:
        raise invalid("Invalid request: the body is not valid UTF-8.") from None
    if text.lstrip().startswith("{") or "json" in environ.get("CONTENT_TYPE", ""):
        raise invalid("Invalid request: send the parameters form-encoded, not as JSON.")
    return text


def _server_error() -> StripeProblem:
    return StripeProblem(500, "api_error", "Something went wrong on Stripe's end.")


def _cut_after_effect(fault: Fault, payload: bytes) -> None:
    """Trouble after the effect: no answer, late or at once, or half of one. Raises ConnectionCut."""
    if fault.kind == "effect_then_timeout":
        time.sleep(fault.seconds)
    if fault.kind in ("effect_then_timeout", "effect_then_reset"):
        raise ConnectionCut()
    if fault.kind == "half_answer":
        raise ConnectionCut(half=payload[: len(payload) // 2])

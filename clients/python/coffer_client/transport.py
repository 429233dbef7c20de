"""Sends one logical call, as often as it takes within the attempts allowed."""

import json
import random
import ssl
import time
import uuid
from collections.abc import Mapping
from decimal import Decimal
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from coffer_client.errors import CofferError, Unreachable, error_of

FIRST_WAIT_SECONDS = 0.25
# 502 and 504 are a proxy's word for a Coffer that does not answer.
PASSING = {429, 502, 503, 504}


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would take the key to another host and turn a POST into a GET."""

    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        return None


class Transport:
    """Requests to one instance with one key. Threads may share it."""

    def __init__(self, base_url: str, key: str, timeout: float, attempts: int, longest_wait: float):
        if urlsplit(base_url).scheme not in ("http", "https"):
            raise ValueError(f"base_url must begin with http:// or https://, not {base_url!r}")
        if attempts < 1:
            raise ValueError("attempts must be at least 1")
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._timeout_seconds = timeout
        self._attempts = attempts
        self._longest_wait_seconds = longest_wait
        self._opener = build_opener(_NoRedirects())

    def get(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """Read."""
        given = urlencode(_without_none(query))
        return self._sent("GET", f"{path}?{given}" if given else path, None, {})

    def post(self, path: str, body: Mapping[str, Any], idempotency_key: str | None = None) -> dict[str, Any]:
        """Send a body under one idempotency key, made here where none is given, the same in each attempt."""
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key or str(uuid.uuid4()),
        }
        return self._sent("POST", path, json.dumps(_without_none(body), default=_plain).encode(), headers)

    def _sent(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json", **headers}
        for attempt in range(1, self._attempts + 1):
            try:
                return self._once(Request(self.base_url + path, data, headers, method=method))
            except CofferError as error:
                wait = self._wait_seconds(error, attempt)
                if wait is None:
                    raise
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, request: Request) -> dict[str, Any]:
        try:
            with self._opener.open(request, timeout=self._timeout_seconds) as response:
                content = response.read()
        except HTTPError as refusal:
            with refusal:
                raise _refused(refusal) from None
        except (HTTPException, OSError) as error:
            if isinstance(error, URLError) and isinstance(error.reason, ssl.SSLCertVerificationError):
                raise CofferError("certificate_invalid", None, str(error.reason)) from error
            raise Unreachable("unreachable", None, str(error) or type(error).__name__) from error
        answer = _parsed(content)
        if not isinstance(answer, dict):
            raise CofferError("unexpected_answer", response.status, "The answer is no JSON object")
        return answer

    def _wait_seconds(self, error: CofferError, attempt: int) -> float | None:
        """How long to wait before the next attempt; None where there is to be none."""
        asked = error.retry_after_seconds
        may_pass = (
            isinstance(error, Unreachable)
            or error.status in PASSING
            or (error.status == 409 and asked is not None)
        )
        if not may_pass or attempt == self._attempts:
            return None
        if asked is None:
            # Spread out, so that programs refused together do not come back together.
            return FIRST_WAIT_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1)
        return asked if asked <= self._longest_wait_seconds else None


def _refused(refusal: HTTPError) -> CofferError:
    try:
        content = refusal.read()
    except (HTTPException, OSError):
        content = b""
    return error_of(refusal.code, _parsed(content), _retry_after_seconds(refusal.headers))


def _parsed(content: bytes) -> Any:
    """The JSON of an answer, its fractions exact; None where it is no JSON."""
    try:
        return json.loads(content, parse_float=Decimal)
    except ValueError:
        return None


def _retry_after_seconds(headers: Message) -> float | None:
    """Seconds or an HTTP date, whichever the header has."""
    given = (headers.get("Retry-After") or "").strip()
    if given.isascii() and given.isdigit():
        return float(given)
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except ValueError:
        return None


def _without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _plain(value: Any) -> str:
    """Decimals go as text, which keeps every digit."""
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")

"""HTTP to Stripe with a limit on how long a caller waits in all, retries included."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests

# Stripe's library may pause a second before an attempt that finds no time left; no worker waits 10 s.
BUDGET_SECONDS = 7.5
CONNECT_SECONDS = 3.0
READ_SECONDS = 5.5
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class PatientSession(requests.Session):
    """A session whose every request ends within the budget of the thread that makes it."""

    def __init__(self, api_base: str | None):
        super().__init__()
        self._local = threading.local()
        if api_base and urlsplit(api_base).hostname in LOOPBACK:
            self.trust_env = False  # a proxy set for the outside world knows no loopback server

    @contextmanager
    def budget(self) -> Iterator[None]:
        """Requests inside share one budget; one within another joins it."""
        if getattr(self._local, "deadline", None) is not None:
            yield
            return
        self._local.deadline = time.monotonic() + BUDGET_SECONDS
        try:
            yield
        finally:
            self._local.deadline = None

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """As in requests, with the time that is left. Raises RequestException where none is."""
        deadline = getattr(self._local, "deadline", None)
        left = BUDGET_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0.05:
            # Of the kind that the library does not try again: a Timeout would cost two more pauses.
            raise requests.RequestException("the time for this is over")
        kwargs["timeout"] = (min(CONNECT_SECONDS, left), min(READ_SECONDS, left))
        kwargs["allow_redirects"] = False
        try:
            return super().request(method, url, **kwargs)
        except requests.exceptions.ChunkedEncodingError as error:
            # Half an answer. Each call carries a key of ours, so the library may ask again.
            raise requests.ConnectionError(str(error)) from error

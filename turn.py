"""The turn: requests run one at a time, unless whoever has the turn waits for something.

Threads of one Python process take its lock from each other at every statement of the database, and those
hand-overs cost more than the statements. So a request runs alone to its end, and lets others run while it
waits: for the payment provider, for a password's hash, for the database's writer. The turn is about speed
alone, nothing depends on it for being right: whoever has waited for too long goes ahead without it, so that
no request can stop the others for good. Source: docs/decisions/0002-server.md.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE_SECONDS = 0.1

_turn = threading.Lock()
_mine = threading.local()


def in_turn(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """A WSGI application whose requests run in turn; bodies that are streamed are sent outside of it."""

    def run(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        _mine.held = _turn.acquire(timeout=PATIENCE_SECONDS)
        try:
            return application(environ, start_response)
        finally:
            _give_up()

    return run


@contextmanager
def set_aside() -> Iterator[None]:
    """Let others run while this thread waits for something that is not Python."""
    if not _give_up():
        yield
        return
    try:
        yield
    finally:
        _mine.held = _turn.acquire(timeout=PATIENCE_SECONDS)


def _give_up() -> bool:
    if not getattr(_mine, "held", False):
        return False
    _mine.held = False
    _turn.release()
    return True

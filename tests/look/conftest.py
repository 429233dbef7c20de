"""The harness on a free port, and a browser that watches its console."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.serving import make_server

from tests.look.harness import create_harness


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the harness listens."""
    server = make_server("127.0.0.1", 0, create_harness(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Open a path at a width and in a theme; afterwards nothing may stand in the console."""
    complaints: list[str] = []
    contexts = []

    def open_one(path: str, *, width: int = 1280, theme: str = "light", scripts: bool = True) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, java_script_enabled=scripts
        )
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda said: said.type in ("error", "warning") and complaints.append(f"{path}: {said.text}"),
        )
        page.on("pageerror", lambda error: complaints.append(f"{path}: {error}"))
        page.on(
            "requestfailed",
            lambda request: (
                request.failure != "net::ERR_ABORTED"
                and complaints.append(f"{path}: {request.url} {request.failure}")
            ),
        )
        page.goto(address + path, wait_until="load")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []

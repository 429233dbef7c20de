"""The sandbox as a server in this process: the API and the hosted pages on one loopback port."""

import socket
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from sandbox.api import Api, ConnectionCut, Environ
from sandbox.pages import hosted_pages
from sandbox.store import Store
from sandbox.webhooks import Deliverer, DeliveryOptions


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive: a client's second call costs no handshake

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: the caller logs what matters."""


class SandboxServer:
    """Stripe for the demo and the tests.

    ``webhook_url`` and ``webhook_secret``: where events go, signed. ``public_base_url``: the origin under
    which browsers see ``/sandbox/``; empty: this server's own.
    """

    def __init__(
        self,
        path: str | Path,
        secret_key: str,
        *,
        webhook_url: str | None = None,
        webhook_secret: str = "",
        now: Callable[[], datetime] | None = None,
        public_base_url: str = "",
        port: int = 0,
        delivery: DeliveryOptions | None = None,
    ):
        self.store = Store(path, now)
        self.api = Api(self.store, secret_key)
        self.pages = hosted_pages(self.store)
        self._server = make_server("127.0.0.1", port, self, threaded=True, request_handler=_QuietHandler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"
        self.store.public_base_url = public_base_url or self.base_url
        self.deliverer = Deliverer(self.store, webhook_url, webhook_secret, delivery) if webhook_url else None
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True
        )

    @property
    def faults(self) -> Any:
        """Planned trouble; see ``sandbox.faults``."""
        return self.api.faults

    def start(self) -> "SandboxServer":
        """Serve and deliver in threads of this process."""
        self._thread.start()
        if self.deliverer:
            self.deliverer.start()
        return self

    def stop(self) -> None:
        """Stop serving and let go of the file."""
        if self.deliverer:
            self.deliverer.stop()
        self._server.shutdown()
        self._thread.join(timeout=5)
        self._server.server_close()
        self.store.close()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """WSGI: pages under /sandbox/, the API elsewhere."""
        if environ["PATH_INFO"].startswith("/sandbox/"):
            mounted = environ | {
                "SCRIPT_NAME": "/sandbox", "PATH_INFO": environ["PATH_INFO"].removeprefix("/sandbox"),
            }  # fmt: skip
            return self.pages(mounted, start_response)
        try:
            return self.api(environ, start_response)
        except ConnectionCut as cut:
            _cut(environ["werkzeug.socket"], cut.half)
            raise ConnectionResetError("cut on purpose") from None


def _cut(connection: socket.socket, half: bytes) -> None:
    if half:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(half) * 2}\r\n\r\n"
        connection.sendall(head.encode() + half)
    connection.shutdown(socket.SHUT_RDWR)

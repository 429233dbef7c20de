"""A small HTTP/1.1 server for WSGI callables: threads, connections that stay open, one write an answer."""

import io
import logging
import socket
import socketserver
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote_to_bytes

from sandbox.api import ConnectionCut

logger = logging.getLogger("coffer.sandbox")
MOST_BODY_BYTES = 1_000_000
IDLE_SECONDS = 120


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    server: "HttpServer"

    def _serve(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if "Transfer-Encoding" in self.headers or not length.isdigit():
            self.close_connection = True
            return self._send("411 Length Required", [], b"")
        if int(length) > MOST_BODY_BYTES:
            self.close_connection = True
            return self._send("413 Content Too Large", [], b"")
        answer: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            answer.update(status=status, headers=headers)

        try:
            parts = self.server.application(self._environ(self.rfile.read(int(length))), start_response)
            body = b"".join(parts)
            if hasattr(parts, "close"):
                parts.close()
        except ConnectionCut as cut:
            return self._cut(cut.half)
        self._send(answer["status"], answer["headers"], body)

    do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = do_PATCH = do_OPTIONS = _serve

    def _environ(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        environ = {
            "REQUEST_METHOD": self.command, "SCRIPT_NAME": "", "QUERY_STRING": query,
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "SERVER_NAME": "127.0.0.1", "SERVER_PORT": str(self.server.server_address[1]),
            "SERVER_PROTOCOL": self.request_version, "REMOTE_ADDR": self.client_address[0],
            "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr, "wsgi.multithread": True, "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }  # fmt: skip
        for name, value in self.headers.items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        return environ

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        """Head and body in one write: two would wait for each other."""
        names = {name.lower() for name, _ in headers}
        if "content-length" not in names:
            headers = [*headers, ("Content-Length", str(len(body)))]
        if self.close_connection:
            headers = [*headers, ("Connection", "close")]
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        without_body = self.command == "HEAD" or status.startswith(("204", "304"))
        self.wfile.write(
            f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + (b"" if without_body else body)
        )

    def _cut(self, half: bytes) -> None:
        self.close_connection = True
        if half:
            length = ("Content-Length", str(len(half) * 2))
            self._send(f"200 {HTTPStatus.OK.phrase}", [("Content-Type", "application/json"), length], half)
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the caller logs what matters."""


class HttpServer(socketserver.ThreadingTCPServer):
    """Serves a WSGI callable on loopback."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, application: Any):
        super().__init__(("127.0.0.1", port), _Handler)
        self.application = application
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            logger.exception("the sandbox failed to answer")

    def close(self) -> None:
        """Stop listening and cut every connection."""
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

"""Servers to measure: Coffer's own, and floors under the same server with the same options."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
SECONDS_TO_START = 30.0


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def coffer_server(environment: Mapping[str, str]) -> Iterator[tuple[int, psutil.Process]]:
    """``python server.py`` as it is run for real; its port and process."""
    port = free_port()
    with _serving(
        [sys.executable, "-W", "ignore", "server.py"], {**environment, "PORT": str(port)}, port
    ) as process:
        yield port, process


@contextmanager
def floor_server(folder: Path) -> Iterator[int]:
    """The floors under the same server with the same number of threads; its port."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "bench.floors", str(port), str(folder)]
    with _serving(command, os.environ, port):
        yield port


@contextmanager
def _serving(command: list[str], environment: Mapping[str, str], port: int) -> Iterator[psutil.Process]:
    """Run a server until it is left; whatever it prints is shown where it fails."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        _wait_until_up(process, port)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _wait_until_up(process: subprocess.Popen[str], port: int) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"the server does not start:\n{process.communicate()[0]}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server does not start in time")


def post(path: str, body: str, token: str = "", *, key: bool = True) -> str:
    """An HTTP request that posts JSON, with a fresh idempotency key each time it is sent."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json",
             f"Content-Length: {len(body.replace('{n}', '00').encode())}"]  # fmt: skip
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += ["Idempotency-Key: {key}"] if key else []
    return "\r\n".join([*lines, "", body])


def get(path: str, token: str = "", cookie: str = "") -> str:
    """An HTTP request that reads."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [f"Cookie: {cookie}"] if cookie else []
    return "\r\n".join([*lines, "", ""])

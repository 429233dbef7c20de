"""A light load generator: one thread, raw sockets, so that it takes little from what it measures.

    python -m bench.load < request.json

The request names a port, the HTTP request to send, how many connections, for how many seconds and, for an
open loop, how many requests a second. Each request gets an Idempotency-Key of its own where ``{key}`` stands,
and one of sixteen two-digit numbers in turn where ``{n}`` stands.
In an open loop a latency counts from when the request was due, not from when a connection was free for it.
"""

import json
import secrets
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONGEST_WAIT_SECONDS = 15.0
SPREAD = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send. ``per_second`` None: a closed loop, each connection sends when it has its answer."""

    port: int
    request: str
    connections: int
    seconds: float
    per_second: float | None = None
    status: int = 200


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), LONGEST_WAIT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._received = b""

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at this moment."""
        self.due, self._received = due, b""
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """Take what has come; the status once the answer is whole."""
        piece = self.socket.recv(262_144)
        if not piece:
            raise SystemExit("the server closed a connection")
        self._received += piece
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _length(head):
            return None
        return int(head[9:12])


def _length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.find(b"\r\ncontent-length:")
    if start < 0:
        raise SystemExit(f"an answer without a length: {head[:80]!r}")
    return int(lowered[start + 17 :].split(b"\r\n", 1)[0])


def main() -> None:
    """Read the load, make it, print what came of it."""
    load = Load(**json.load(sys.stdin))
    connections = [Connection(load.port) for _ in range(load.connections)]
    latencies, took = (
        closed_loop(load, connections) if load.per_second is None else open_loop(load, connections)
    )
    json.dump({"latencies": latencies, "took": took}, sys.stdout)


def requests_of(load: Load):
    """Requests, each with its own key."""
    before, _, after = load.request.partition("{key}")
    head, tail, run, number = before.encode(), after.encode(), secrets.token_hex(4), 0
    keyed, spread = bool(after), "{n}" in load.request
    while True:
        number += 1
        request = b"%b%b-%08d%b" % (head, run.encode(), number, tail) if keyed else head
        yield request.replace(b"{n}", b"%02d" % (number % SPREAD)) if spread else request


def closed_loop(load: Load, connections: list[Connection]) -> tuple[list[float], float]:
    """Every connection always has one request under way."""
    selector, requests, latencies = _watching(connections), requests_of(load), []
    began = now = time.perf_counter()
    until = began + load.seconds
    for connection in connections:
        connection.send(next(requests), time.perf_counter())
    under_way = len(connections)
    while under_way:
        for key, _ in _ready(selector, LONGEST_WAIT_SECONDS):
            connection = key.data
            status = connection.receive()
            if status is None:
                continue
            now = time.perf_counter()
            _check(status, load)
            latencies.append(now - connection.due)
            if now < until:
                connection.send(next(requests), now)
            else:
                under_way -= 1
    return latencies, now - began


def open_loop(load: Load, connections: list[Connection]) -> tuple[list[float], float]:
    """Requests fall due at a steady rate, whether or not earlier ones are answered."""
    selector, requests, latencies = _watching(connections), requests_of(load), []
    assert load.per_second is not None
    began = now = time.perf_counter()
    dues = deque(began + n / load.per_second for n in range(int(load.per_second * load.seconds)))
    total, free = len(dues), deque(connections)
    while len(latencies) < total:
        now = time.perf_counter()
        while dues and free and dues[0] <= now:
            free.popleft().send(next(requests), dues.popleft())
        wait = dues[0] - now if dues and free else LONGEST_WAIT_SECONDS
        for key, _ in selector.select(max(wait, 0)):
            status = key.data.receive()
            if status is not None:
                _check(status, load)
                latencies.append(time.perf_counter() - key.data.due)
                free.append(key.data)
        if now - began > load.seconds + LONGEST_WAIT_SECONDS:
            raise SystemExit("the server does not keep up with the open loop")
    return latencies, time.perf_counter() - began


def _watching(connections: list[Connection]) -> selectors.BaseSelector:
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    return selector


def _ready(selector: selectors.BaseSelector, seconds: float):
    ready = selector.select(seconds)
    if not ready:
        raise SystemExit(f"no answer in {seconds} s")
    return ready


def _check(status: int, load: Load) -> None:
    if status != load.status:
        raise SystemExit(f"answered {status} where {load.status} was expected")


def loaded(load: Load):
    """Make the load in a process of its own; the sample."""
    from bench.timing import sample_of

    done = subprocess.run(
        [sys.executable, "-m", "bench.load"], input=json.dumps(asdict(load)), capture_output=True, text=True,
        cwd=ROOT, timeout=load.seconds + 60, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the load failed: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    return sample_of(found["latencies"], found["took"])


if __name__ == "__main__":
    main()

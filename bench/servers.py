"""Which server, and how many threads: the same app under each, measured from outside.

    python bench/servers.py [--seconds 3]

The app is Coffer with one view that spends a credit from a real ledger (SQLite, WAL, FULL) and one that waits
as a call to Stripe does. For each server and number of threads: spends a second over 16 connections, p50 over
one, p99 of a spend while as many slow calls are under way as there are threads less one (at least one), and
the peak memory of all its processes.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SERVERS = ("granian in one process", "granian with a worker process", "gunicorn gthread")
THREADS = (1, 2, 4, 8)
CONNECTIONS = 16
SLOW_SECONDS = 2.0


def main() -> None:
    """Measure each, print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--serve", choices=SERVERS)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--port", type=int)
    wanted = parser.parse_args()
    if wanted.serve:
        serve(wanted.serve, wanted.threads, wanted.port)
        return
    for server in SERVERS:
        for threads in THREADS:
            print(json.dumps(measured(server, threads, wanted.seconds)), flush=True)


# The served side


def application():
    """Coffer with the two views."""
    from app import create_app
    from services.ledger.debits import Spend, spend_credits

    app = create_app()

    @app.post("/bench/spend")
    def spend() -> dict:
        receipt = spend_credits(Spend(account_id=1, credit_type="credits", amount=1, actor="command"))
        return {"transaction_id": receipt.transaction_id}

    @app.post("/bench/slow")
    def slow() -> dict:
        time.sleep(SLOW_SECONDS)
        return {}

    from extensions import csrf

    csrf.exempt(spend)
    csrf.exempt(slow)
    return app


def prepare() -> None:
    """A ledger with one rich account."""
    from app import create_app
    from bench.expiry_sweep import make_accounts
    from services.ledger.grants import Incoming, grant_credits
    from services.operations.schema import upgrade_schema

    with create_app().app_context():
        upgrade_schema()
        (account_id,) = make_accounts(1)
        grant_credits(
            Incoming(
                account_id=account_id, credit_type="credits", amount=10**9, source="bonus", actor="command"
            )
        )


def serve(server: str, threads: int, port: int) -> None:
    """Become the server."""
    if server == "gunicorn gthread":
        options = ["--worker-class=gthread", f"--threads={threads}", f"--bind=127.0.0.1:{port}"]
        command = ["gunicorn", *options, "--log-level=warning", "bench.servers:application()"]
        os.execv(sys.executable, [sys.executable, "-m", *command])
    from granian.constants import HTTPModes, Interfaces
    from granian.server import Server

    from server import ThreadServer

    kind = ThreadServer if server == "granian in one process" else Server
    kind(
        "bench.servers:application", factory=True, address="127.0.0.1", port=port, interface=Interfaces.WSGI,
        http=HTTPModes.http1, websockets=False, workers=1, blocking_threads=threads, backlog=1024,
        backpressure=256, log_enabled=False,
    ).serve()  # fmt: skip


# The measuring side


def measured(server: str, threads: int, seconds: float) -> dict:
    """Start one server, measure it, end it."""
    with tempfile.TemporaryDirectory(prefix="coffer-bench-") as folder:
        os.environ |= {"INSTANCE_DIR": folder, "SCHEDULER": "off", "LOG_LEVEL": "WARNING"}
        subprocess.run([sys.executable, "-W", "ignore", "-c", "from bench.servers import prepare; prepare()"],
                       check=True, cwd=ROOT)  # fmt: skip
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, "--serve", server, "--threads", str(threads),
             "--port", str(port)],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True,
        )  # fmt: skip
        try:
            wait_until_up(port)
            spend_for(port, 4, 0.5)
            return {
                "server": server,
                "threads": threads,
                "spends_per_second": round(len(spend_for(port, CONNECTIONS, seconds)) / seconds),
                "p50_ms_of_one": round(statistics.median(spend_for(port, 1, seconds / 2)) * 1000, 2),
                "p99_ms_beside_slow_calls": beside_slow_calls(port, max(threads - 1, 1)),
                "peak_mb": memory_mb(process.pid),
            }
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_up(port: int) -> None:
    """Until it takes connections."""
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server does not start")


def spend_for(port: int, connections: int, seconds: float) -> list[float]:
    """Spend in a closed loop over so many connections; the seconds each spend took."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    def loop() -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.perf_counter() < until:
            began = time.perf_counter()
            call(client, "/bench/spend")
            took.append(time.perf_counter() - began)
        client.close()

    loops = [threading.Thread(target=loop) for _ in range(connections)]
    for thread in loops:
        thread.start()
    for thread in loops:
        thread.join()
    return took


def call(client: http.client.HTTPConnection, path: str) -> None:
    """One POST that must succeed."""
    client.request("POST", path)
    answer = client.getresponse()
    answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path} answered {answer.status}")


def beside_slow_calls(port: int, slow_calls: int) -> float:
    """The p99 of spends, in ms, while slow calls are under way."""
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(slow_calls)]
    slow = [threading.Thread(target=call, args=(client, "/bench/slow")) for client in clients]
    for thread in slow:
        thread.start()
    time.sleep(0.1)
    took = sorted(spend_for(port, 2, SLOW_SECONDS - 0.4))
    for thread in slow:
        thread.join()
    for client in clients:
        client.close()
    return round(took[int(len(took) * 0.99) - 1] * 1000, 1)


def memory_mb(leader: int) -> int:
    """Memory of all processes of a session in MB: proportional set sizes, shared pages counted once."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and session_of(entry) == leader:
            rollup = (entry / "smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return round(total / 1024)


def session_of(entry: Path) -> int | None:
    """The session of a process; None where it has gone."""
    try:
        return int((entry / "stat").read_text().rsplit(")", 1)[1].split()[3])
    except (OSError, IndexError):
        return None


if __name__ == "__main__":
    main()

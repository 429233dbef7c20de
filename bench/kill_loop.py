"""Kill the server with SIGKILL again and again while programs spend, then count.

    python bench/kill_loop.py [--rounds 50]

Every spend that was acknowledged must be in the journal, once; a spend whose answer was lost is sent again
under its key and must not be booked twice; the server must be ready again in five seconds.
"""

import argparse
import http.client
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sqlite_library import sqlite  # noqa: E402

GRANTED = 1_000_000
CLIENTS = 4


@dataclass
class Outcome:
    """What the clients saw and what the database holds."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    sent_again: int = 0
    kills: int = 0
    seconds_until_ready: list[float] = field(default_factory=list)
    booked: dict[str, list[int]] = field(default_factory=dict)
    balance: int = 0
    proof: str = ""
    unexpected: list[str] = field(default_factory=list)

    def problems(self) -> list[str]:
        """What went wrong, in words; empty where nothing did."""
        found = list(self.unexpected)
        for task, transaction_id in self.acknowledged.items():
            if self.booked.get(task) != [transaction_id]:
                found.append(f"{task} was acknowledged as {transaction_id}, booked: {self.booked.get(task)}")
        found += [f"{task} was booked twice" for task, ids in self.booked.items() if len(ids) > 1]
        if self.balance != GRANTED - len(self.booked):
            found.append(f"the balance is {self.balance} after {len(self.booked)} spends")
        if "is whole" not in self.proof:
            found.append(f"the proof says: {self.proof}")
        return found


class Instance:
    """A server of our own in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = {
            name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")
        } | {
            "INSTANCE_DIR": str(folder), "PORT": str(self.port), "COFFER_DEMO": "0", "LOG_LEVEL": "WARNING",
            "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        self.process: subprocess.Popen | None = None

    def start(self, timeout_seconds: float = 30) -> float:
        """Start the server; returns how many seconds it took to answer."""
        began = time.monotonic()
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "server.py"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        while time.monotonic() - began < timeout_seconds:
            try:
                self.call("GET", "/")
                return time.monotonic() - began
            except (OSError, http.client.HTTPException):
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
        raise RuntimeError(f"the server does not start: {(self.folder / 'server.log').read_text()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL: no handler, no flush."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def command(self, *arguments: str) -> str:
        """Run one of Coffer's commands; its output."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "app", *arguments], cwd=ROOT, env=self.environment,
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return (done.stdout or done.stderr).strip()

    def call(self, method: str, path: str, body: dict | None = None, **headers: str) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            content = json.dumps(body) if body is not None else None
            client.request(method, path, content, {"Content-Type": "application/json"} | headers)
            answer = client.getresponse()
            return answer.status, answer.read()
        finally:
            client.close()


def kill_loop(folder: Path, rounds: int) -> Outcome:
    """Run the loop in a folder and return what came of it."""
    instance = Instance(folder)
    outcome = Outcome()
    instance.start()
    try:
        token = instance.command("keys", "create", "--platform", "--scopes", "read,spend,manage")
        prepare_account(instance, token)
        stop = threading.Event()
        clients = [
            threading.Thread(target=keep_spending, args=(instance, token, stop, outcome))
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for _ in range(rounds):
            time.sleep(random.uniform(0.3, 1.2))
            instance.kill()
            outcome.kills += 1
            outcome.seconds_until_ready.append(instance.start())
        time.sleep(0.5)
        stop.set()
        for client in clients:
            client.join(60)
    finally:
        instance.stop()
    count(instance, outcome)
    return outcome


def prepare_account(instance: Instance, token: str) -> None:
    """One account with credits."""
    authorization = {"Authorization": f"Bearer {token}"}
    for path, body in (
        ("/api/accounts", {"slug": "acme", "name": "Acme"}),
        (
            "/api/credits/grant",
            {"account": "acme", "amount": GRANTED, "source": "bonus", "description": "Load"},
        ),
    ):
        status, answer = instance.call("POST", path, body, **authorization)
        if status != 201:
            raise RuntimeError(f"{path} answered {status}: {answer!r}")


def keep_spending(instance: Instance, token: str, stop: threading.Event, outcome: Outcome) -> None:
    """Spend one credit after another; what got no answer is sent again under its key until it has one."""
    while not stop.is_set():
        task = secrets.token_hex(8)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": task}
        tries = 0
        while True:
            tries += 1
            try:
                status, answer = instance.call(
                    "POST",
                    "/api/credits/deduct",
                    {"account": "acme", "amount": 1, "task_id": task},
                    **headers,
                )
            except (OSError, http.client.HTTPException):
                if tries > 2_000:
                    outcome.unexpected.append(f"{task} never got an answer")
                    return
                time.sleep(0.02)
                continue
            break
        if status != 200:
            outcome.unexpected.append(f"{task}: {status} {answer!r}")
            return
        outcome.acknowledged[task] = json.loads(answer)["transaction_id"]
        outcome.sent_again += tries > 1


def count(instance: Instance, outcome: Outcome) -> None:
    """What the database holds, read beside Coffer, and what its own proof says."""
    connection = sqlite.connect(instance.folder / "coffer.sqlite")
    for task, transaction_id in connection.execute(
        "SELECT task_id, id FROM transactions WHERE type = 'usage'"
    ):
        outcome.booked.setdefault(task, []).append(transaction_id)
    outcome.balance = connection.execute("SELECT balance FROM balances").fetchone()[0]
    connection.close()
    outcome.proof = instance.command("ledger", "verify").splitlines()[-1]


def main() -> int:
    """Run and report; exit code 1 where something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="coffer-kill-") as folder:
        outcome = kill_loop(Path(folder), rounds)
    problems = outcome.problems()
    print(
        f"{outcome.kills} kills, {len(outcome.acknowledged)} spends acknowledged, {outcome.sent_again} of "
        f"them sent again, ready after at most {max(outcome.seconds_until_ready):.1f} s"
    )
    print("\n".join(problems) or "Every acknowledged spend is booked once.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

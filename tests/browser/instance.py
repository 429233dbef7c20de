"""A real server in a process of its own, on a new instance with the demo; what it printed at its start."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
# The team's own site, from which its customers' browsers call.
OTHER_SITE = "http://localhost:4545"
TOKEN_SECRET = "a-shared-secret-of-the-team-0123456789abcdef"


class DemoInstance:
    """``python server.py`` as ``make run`` starts it."""

    def __init__(self, folder: Path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self._log = folder / "server.log"
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        environment = kept | {
            "INSTANCE_DIR": str(folder), "PORT": str(port), "PYTHONUNBUFFERED": "1",
            "JWT_SECRET": TOKEN_SECRET, "CORS_ORIGINS": OTHER_SITE,
        }  # fmt: skip
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "server.py"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        self.said = self._wait()

    def _wait(self) -> str:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            said = self._log.read_text()
            if "API key of" in said and self._answers():
                return said
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"the server does not start: {self._log.read_text()[-2000:]}")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/healthz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def password_of(self, email: str) -> str:
        """The password that was shown once."""
        found = re.search(rf"{re.escape(email)}\s+(\S+)", self.said)
        assert found, self.said
        return found[1]

    def call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What a program of Northwind Studio gets from the API."""
        key = re.search(r"API key of [^:]+: (\S+)", self.said)
        assert key, self.said
        request = urllib.request.Request(
            self.address + path,
            json.dumps(body).encode() if body is not None else None,
            {"Authorization": f"Bearer {key[1]}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that is not enough."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

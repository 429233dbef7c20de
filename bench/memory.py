"""Memory of a whole instance, as it is started by a newcomer, after some load."""

import tempfile
import time
from pathlib import Path

import psutil

from app import create_app
from bench.deduct_http import BODY, CONNECTIONS
from bench.filling import add_account, add_lots
from bench.instance import environment_of, settings_for
from bench.load import Load, loaded
from bench.pages import PAGE, sign_in
from bench.results import Report, Row
from bench.serving import coffer_server, get, post
from extensions import db
from services.accounts.api_keys import mint

TITLE = "Memory of all processes"


def run(quick: bool = False) -> Report:
    """The server with jobs and sandbox, after spends, reads and pages."""
    seconds = 0.5 if quick else 5.0
    with tempfile.TemporaryDirectory(prefix="coffer-bench-") as name:
        folder = Path(name)
        environment = environment_of(settings_for(folder)) | {"SCHEDULER": "on", "COFFER_DEMO": "true"}
        with coffer_server(environment) as (port, process):
            at_start = _now(process)
            for request in _requests(folder):
                loaded(Load(port=port, request=request, connections=CONNECTIONS, seconds=seconds))
            time.sleep(0.5)
            rows = [
                Row("proportional set size at start", f"{at_start:.0f} MB"),
                Row("proportional set size after load", f"{_now(process):.0f} MB"),
                Row("peak resident set, summed", f"{len(_family(process))} processes", ratio=_peak(process),
                    first=150, goal=110, at_most=True, unit="MB"),
            ]  # fmt: skip
    return Report("memory", TITLE, rows)


def _requests(folder: Path) -> list[str]:
    """A spend, a balance, a history page and the Overview page."""
    app = create_app(settings_for(folder))
    with app.app_context():
        account_id = add_account("bench")
        add_lots(account_id, 8)
        token = mint(account_id, "command", ("read", "spend")).token
        cookie = sign_in(app, account_id)
        db.session.remove()
        db.engine.dispose()
    return [
        post("/api/credits/deduct", BODY, token),
        get("/api/credits/balance", token),
        get("/api/credits/history", token),
        get(PAGE, cookie=cookie),
    ]


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _now(process: psutil.Process) -> float:
    """Shared pages counted once, in MB."""
    return sum(member.memory_full_info().pss for member in _family(process)) / 1e6


def _peak(process: psutil.Process) -> float:
    """The most that each process ever had, in MB."""
    found = 0
    for member in _family(process):
        status = Path(f"/proc/{member.pid}/status").read_text()
        found += next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return found * 1024 / 1e6

"""Four processes, many due lots, the one at work killed: each lot expires once, another takes over."""

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from extensions import db
from models.jobs import JobRun
from models.ledger import Transaction
from services.clock import business_now, iso, set_business_offset
from services.ledger.grants import Incoming, grant_credits
from services.operations.facts import set_fact
from services.operations.job_runs import JOBS_SINCE
from services.unit_of_work import atomic
from tests.conftest import make_account

ROOT = Path(__file__).resolve().parents[2]
LOTS = 1_000


@atomic
def grant_all(account_ids: list[int]) -> None:
    for number in range(LOTS):
        grant_credits(
            Incoming(
                account_id=account_ids[number % len(account_ids)], credit_type="credits", amount=10,
                source="bonus", actor="command", expires_at=business_now() + timedelta(hours=1),
            )
        )  # fmt: skip


def sweeper(app) -> subprocess.Popen:
    url = db.engine.url.render_as_string(hide_password=False)
    folder = str(app.extensions["settings"].instance_dir)
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.jobs.sweeper", folder, url],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def finished_run() -> JobRun | None:
    db.session.rollback()
    return db.session.scalar(select(JobRun).where(JobRun.state == "done"))


def expiry_lines() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).where(Transaction.type == "expiry"))


@pytest.mark.slow
class TestTakeover:
    def test_killed_leader_is_replaced_and_each_lot_expires_once(self, either_app):
        set_business_offset(timedelta(hours=-3))
        grant_all([make_account() for _ in range(20)])
        set_fact(JOBS_SINCE, iso(business_now()))
        set_business_offset(timedelta(0))
        db.session.remove()
        leader = sweeper(either_app)
        assert leader.stdout.readline() == b"at work\n"
        others = [sweeper(either_app) for _ in range(3)]
        try:
            self._kill_at_work(leader)
            done_before = expiry_lines()
            assert 0 < done_before < LOTS
            until = time.monotonic() + 60
            while finished_run() is None and time.monotonic() < until:
                time.sleep(0.3)
        finally:
            for process in (leader, *others):
                process.kill()
                process.communicate()
        run = finished_run()
        assert run is not None, "nobody took over within a minute"
        assert (run.attempts, run.job) == (2, "expire-grants")
        assert run.summary == f"{LOTS - done_before} lots"
        assert expiry_lines() == LOTS

    def _kill_at_work(self, leader: subprocess.Popen) -> None:
        until = time.monotonic() + 30
        while expiry_lines() == 0 and time.monotonic() < until:
            time.sleep(0.02)
        leader.kill()
        leader.wait()

"""``demo travel`` on the command line, killed and continued by another process too."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update

from extensions import db
from models.jobs import JobRun, Lease
from services import clock
from services.clock import business_now, wall_now
from services.operations.moved_clock import ClockFollower
from services.operations.time_travel import is_interrupted, last_journey
from tests.conftest import LEDGER_KEY, assert_ledger_is_whole
from tests.jobs.journeys import Town, open_town

ROOT = Path(__file__).resolve().parents[2]
SOON = 60


@pytest.fixture
def town(app: Flask) -> Iterator[Town]:
    with open_town(app) as town:
        yield town


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["demo", "travel", *arguments])
    db.session.rollback()
    return result.exit_code, result.output


class TestTravel:
    def test_it_moves_the_clock_and_says_where_it_is(self, town: Town) -> None:
        start = business_now()
        code, output = run(town.app, "3d")
        assert code == 0, output
        assert f"{start:%Y-%m-%d}  0 %" in output and "steps)." in output
        assert business_now() - start >= timedelta(days=3)
        assert len(list(db.session.scalars(select(JobRun).where(JobRun.job == "reconcile")))) == 3

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ((), "Give a span"),
            (("3d", "--continue"), "Give a span"),
            (("soon",), "hours or days"),
            (("999d",), "400 days at most"),
            (("--continue",), "no journey to continue"),
            (("cycle-end",), "nobody has a plan"),
        ],
    )
    def test_one_line_says_what_is_wrong(self, app: Flask, arguments: tuple[str, ...], said: str) -> None:
        code, output = run(app, *arguments)
        assert code != 0 and said in output
        assert last_journey() is None

    def test_a_server_at_work_is_told_to_do_it(self, town: Town) -> None:
        done = subprocess.run(
            command(town.app, "3d"), **surroundings(town.app), capture_output=True, text=True
        )
        assert done.returncode == 1
        assert "runs in another process" in done.stderr
        assert last_journey() is None


def command(app: Flask, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "app", "demo", "travel", *arguments]


def surroundings(app: Flask) -> dict[str, object]:
    """Where a process of this instance runs."""
    settings = app.extensions["settings"]
    return {
        "cwd": ROOT,
        "env": {
            "PATH": os.environ["PATH"], "INSTANCE_DIR": str(settings.instance_dir),
            "DATABASE_URL": settings.database_url, "LEDGER_KEY": LEDGER_KEY,
            "SECRET_KEY": settings.secret_key.get_secret_value(), "SCHEDULER": "off",
        },
    }  # fmt: skip


class TestKilledProcess:
    def test_another_goes_on_from_where_it_stood(self, town: Town) -> None:
        account_id = town.account("monthly")
        town.subscribe(account_id)
        town.payments.stop()  # the sandbox belongs to the processes below
        first = subprocess.Popen(
            command(town.app, "40d"),
            **surroundings(town.app),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_steps(20)
        first.send_signal(signal.SIGKILL)
        first.wait()
        stood = last_journey()
        assert stood is not None and stood.state == "under_way"
        db.session.execute(update(Lease).values(expires_at=wall_now()))  # as half a minute later
        db.session.commit()
        assert is_interrupted(last_journey())

        done = subprocess.run(
            command(town.app, "--continue"), **surroundings(town.app), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        db.session.rollback()
        journey = last_journey()
        assert journey is not None and journey.state == "arrived" and journey.problems == ()
        assert journey.steps > stood.steps
        clock.move_business_clock(timedelta(0))
        ClockFollower()()
        assert business_now() >= journey.to_at
        assert [row.status for row in town.payments_of(account_id)] == ["paid", "paid"]
        assert [line.amount for line in town.lines_of(account_id, "expiry")] == [-1120]
        assert_ledger_is_whole()


def wait_for_steps(count: int) -> None:
    until = time.monotonic() + SOON
    while time.monotonic() < until:
        db.session.rollback()
        journey = last_journey()
        if journey is not None and journey.steps >= count:
            return
        time.sleep(0.05)
    raise AssertionError("the journey does not get on")

"""What is due runs once, whoever looks; what failed or crashed runs again; what is paused waits."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from errors import Conflict
from extensions import db
from jobs.runner import Runner, run_by_hand
from jobs.schedule import Every, Job
from models.jobs import JobRun, Lease
from services import clock
from services.operations import clock_guard, job_runs, leases
from services.operations.facts import drop_fact, set_fact
from services.operations.restore import PAYMENTS_PAUSED

NOON = datetime(2026, 5, 4, 12, 0, 20, tzinfo=UTC)


class Clock:
    """Both clocks of the product, set by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = NOON
        for module in (clock, job_runs, leases):
            for name in ("wall_now", "business_now"):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, lambda: self.now)
        monkeypatch.setattr("jobs.runner.business_now", lambda: self.now)
        monkeypatch.setattr("jobs.runner.wall_now", lambda: self.now)
        monkeypatch.setattr(clock, "boot_seconds", lambda: (self.now - NOON).total_seconds() + 1_000)

    def pass_by(self, **span: int) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def at_noon(monkeypatch):
    return Clock(monkeypatch)


class Counted:
    """A job that counts how often it ran, and fails while told to."""

    def __init__(self):
        self.runs = 0
        self.failing = False

    def __call__(self, app) -> str:
        self.runs += 1
        if self.failing:
            raise RuntimeError("no luck")
        return f"run {self.runs}"


@pytest.fixture
def counted():
    return Counted()


def job_of(work, **values) -> Job:
    return Job("prune", Every(timedelta(minutes=5)), work, "For tests.", **values)


def runs() -> list[JobRun]:
    db.session.rollback()
    return list(db.session.scalars(select(JobRun).order_by(JobRun.id)))


class TestTick:
    def test_first_look_runs_nothing_that_was_due_before(self, either_app, at_noon, counted):
        Runner(either_app, (job_of(counted),)).tick()
        assert counted.runs == 0
        assert runs() == []

    def test_due_instant_runs_once_however_often_one_looks(self, either_app, at_noon, counted):
        runner = Runner(either_app, (job_of(counted),))
        runner.tick()
        at_noon.pass_by(minutes=5)
        runner.tick()
        runner.tick()
        (run,) = runs()
        assert (counted.runs, run.state, run.summary) == (1, "done", "run 1")
        assert run.due_at == datetime(2026, 5, 4, 12, 5, tzinfo=UTC)

    def test_many_missed_instants_are_made_up_for_by_one_run(self, either_app, at_noon, counted):
        Runner(either_app, (job_of(counted),)).tick()
        at_noon.pass_by(days=3)
        Runner(either_app, (job_of(counted),)).tick()
        assert [run.due_at for run in runs()] == [datetime(2026, 5, 7, 12, 0, tzinfo=UTC)]
        assert counted.runs == 1

    def test_failure_is_recorded_and_retried_after_a_pause(self, either_app, at_noon, counted):
        runner = Runner(either_app, (job_of(counted),))
        runner.tick()
        at_noon.pass_by(minutes=5)
        counted.failing = True
        runner.tick()
        (run,) = runs()
        assert (run.state, run.error, run.attempts) == ("failed", "RuntimeError: no luck", 1)
        counted.failing = False
        at_noon.pass_by(seconds=30)
        runner.tick()
        assert counted.runs == 1
        at_noon.pass_by(seconds=31)
        runner.tick()
        (run,) = runs()
        assert (run.state, run.error, run.attempts) == ("done", None, 2)

    def test_pause_before_a_retry_grows(self, either_app, at_noon, counted):
        counted.failing = True
        runner = Runner(either_app, (Job("prune", Every(timedelta(days=1)), counted, "For tests."),))
        runner.tick()
        at_noon.pass_by(days=1)
        for _ in range(60):
            runner.tick()
            at_noon.pass_by(minutes=1)
        assert counted.runs == 6  # after 0, 1, 3, 7, 15 and 31 minutes

    def test_run_whose_process_is_gone_is_marked_and_run_again(self, either_app, at_noon, counted):
        runner = Runner(either_app, (job_of(counted),))
        runner.tick()
        at_noon.pass_by(minutes=5)
        due_at = datetime(2026, 5, 4, 12, 5, tzinfo=UTC)
        assert leases.take_lease("job:prune", "dead:1")
        job_runs.begin_run("prune", due_at)
        at_noon.pass_by(seconds=29)
        runner.tick()
        assert counted.runs == 0
        at_noon.pass_by(seconds=2)
        runner.tick()
        (run,) = runs()
        assert (run.state, run.due_at, run.attempts) == ("done", due_at, 2)

    def test_lease_is_given_back(self, either_app, at_noon, counted):
        runner = Runner(either_app, (job_of(counted),))
        runner.tick()
        at_noon.pass_by(minutes=5)
        runner.tick()
        assert db.session.scalars(select(Lease)).all() == []

    def test_broken_job_does_not_keep_others_from_running(self, either_app, at_noon, counted):
        bad = Counted()
        bad.failing = True
        other = Job("backup", Every(timedelta(minutes=5)), counted, "For tests.")
        runner = Runner(either_app, (job_of(bad), other))
        runner.tick()
        at_noon.pass_by(minutes=5)
        runner.tick()
        assert {run.job: run.state for run in runs()} == {"prune": "failed", "backup": "done"}

    def test_four_runners_at_once_run_it_once(self, either_app, at_noon, counted):
        runners = [Runner(either_app, (job_of(counted),)) for _ in range(4)]
        runners[0].tick()
        at_noon.pass_by(minutes=5)
        threads = [threading.Thread(target=runner.tick) for runner in runners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counted.runs == 1
        assert [run.state for run in runs()] == ["done"]


class TestPauses:
    def test_clock_jump_pauses_expiry_until_confirmed(self, app, at_noon, monkeypatch, counted):
        at_noon_boot = 1_000
        monkeypatch.setattr(clock, "boot_seconds", lambda: at_noon_boot)
        runner = Runner(app, (job_of(counted, lets_expire=True),))
        runner.tick()
        at_noon.pass_by(hours=49)  # the boot clock has not moved
        runner.tick()
        assert counted.runs == 0
        assert "jumped" in clock_guard.paused_because()
        clock_guard.confirm_clock()
        runner.tick()
        assert counted.runs == 1
        assert clock_guard.paused_because() is None

    def test_time_that_passes_on_both_clocks_is_no_jump(self, app, at_noon, counted):
        runner = Runner(app, (job_of(counted, lets_expire=True),))
        runner.tick()
        at_noon.pass_by(days=30)
        runner.tick()
        assert counted.runs == 1

    def test_start_behind_what_was_seen_pauses(self, app, at_noon):
        clock_guard.ClockGuard().watch()
        at_noon.pass_by(minutes=-4)
        assert clock_guard.ClockGuard().check_at_start() is None
        at_noon.pass_by(minutes=-2)
        assert "At start" in clock_guard.ClockGuard().check_at_start()

    def test_restore_pauses_jobs_that_take_money_only(self, app, at_noon, counted):
        other = Counted()
        takes = job_of(counted, takes_money=True)
        runner = Runner(app, (takes, Job("backup", takes.when, other, "For tests.", lets_expire=True)))
        runner.tick()
        set_fact(PAYMENTS_PAUSED, "restored")
        at_noon.pass_by(minutes=5)
        runner.tick()
        assert (counted.runs, other.runs) == (0, 1)
        drop_fact(PAYMENTS_PAUSED)
        runner.tick()
        assert counted.runs == 1


class TestRunByHand:
    def test_run_by_hand_does_not_count_as_scheduled(self, either_app, at_noon, counted):
        job = job_of(counted)
        runner = Runner(either_app, (job,))
        runner.tick()
        assert run_by_hand(either_app, job, at_noon.now + timedelta(days=400)) == "run 1"
        at_noon.pass_by(minutes=5)
        runner.tick()
        assert [(run.by_hand, run.state) for run in runs()] == [(True, "done"), (False, "done")]

    def test_job_at_work_elsewhere_is_refused(self, either_app, at_noon, counted):
        assert leases.take_lease("job:prune", "other:1")
        with pytest.raises(Conflict, match="at work"):
            run_by_hand(either_app, job_of(counted), at_noon.now)
        assert counted.runs == 0

    def test_paused_job_is_refused(self, app, at_noon, counted):
        set_fact(clock_guard.PAUSED, "the clock jumped")
        with pytest.raises(Conflict, match="paused"):
            run_by_hand(app, job_of(counted, lets_expire=True), at_noon.now)

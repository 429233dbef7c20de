"""Runs what is due: looks every few seconds, under a lease per job, and records each run.

A job is a sweep over due rows, not a timer: a missed instant is seen and made up for by one run. Of several
processes one runs a job at a time; where that one is killed, its lease runs out and another takes over.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask

from errors import Conflict
from jobs.schedule import JOBS, Daily, Every, Job
from services.clock import business_now, iso, wall_now
from services.operations import job_runs
from services.operations.clock_guard import ClockGuard, paused_because
from services.operations.facts import fact
from services.operations.leases import LEASE_SECONDS, give_back_lease, new_holder, take_lease
from services.operations.readiness import note_tick
from services.operations.restore import PAYMENTS_PAUSED
from services.operations.time_travel import is_travelling

logger = logging.getLogger("coffer.jobs")
TICK_SECONDS = 15
RENEW_SECONDS = LEASE_SECONDS / 3


class Runner:
    """Runs the jobs of one process."""

    def __init__(self, app: Flask, jobs: tuple[Job, ...] = JOBS):
        self._app = app
        self._jobs = jobs
        self._holder = new_holder()
        self._guard = ClockGuard()
        self._scheduler: BackgroundScheduler | None = None

    def start(self) -> None:
        """Look for due jobs in the background: sweeps on one thread, the nightly ones on another."""
        with self._app.app_context():
            because = self._guard.check_at_start()
        if because:
            logger.error(
                "Expiry and money jobs are paused: %s Confirm with: flask --app app jobs resume", because
            )
        self._scheduler = BackgroundScheduler(timezone="UTC")
        for lane, kind in (("sweeps", Every), ("nightly", Daily)):
            self._scheduler.add_job(
                self.tick, "interval", args=(kind,), id=lane, seconds=TICK_SECONDS, max_instances=1,
                coalesce=True, misfire_grace_time=None, next_run_time=wall_now(),
            )  # fmt: skip
        self._scheduler.start()

    def stop(self) -> None:
        """Look no more; a job at work is waited for."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)
            self._scheduler = None

    def tick(self, kind: type = object) -> None:
        """Run every job of a kind that is due. Nothing that goes wrong here ends the runner."""
        try:
            with self._app.app_context():
                self._guard.watch()
                note_tick()
                job_runs.jobs_since()
                if is_travelling():
                    return  # the journey runs the jobs itself, each at its instant
        except Exception:
            logger.exception("The jobs could not be looked at")
            return
        for job in self._jobs:
            if isinstance(job.when, kind):
                try:
                    with self._app.app_context():
                        self.run_if_due(job)
                except Exception:
                    logger.exception("Job %s could not be run", job.name)

    def run_if_due(self, job: Job) -> bool:
        """Run a job that is due and does not wait. False where another process is at it."""
        if not self._may_start(job) or waits_because(job) is not None:
            return True
        with lease_held(self._app, f"job:{job.name}", self._holder) as is_ours:
            if not is_ours:
                return False
            if job_runs.fail_crashed_runs(job.name):
                logger.warning("Job %s: an earlier run ended with its process; it is run again", job.name)
            due_at = due_instant(job)
            if due_at is not None:
                run_and_record(self._app, job, due_at)
            return True

    def _may_start(self, job: Job) -> bool:
        """Due, or recorded as running: whether its runner still lives shows when its lease is free."""
        last = job_runs.last_scheduled_run(job.name)
        return due_instant(job) is not None or (last is not None and last.state == "running")


def due_instant(job: Job) -> datetime | None:
    """The instant a job should run for now: the latest one missed, or one whose failed run may be retried."""
    latest = job.when.latest_due(business_now())
    last = job_runs.last_scheduled_run(job.name)
    after = last.due_at if last else job_runs.jobs_since()
    if latest > after:
        return latest
    return last.due_at if last is not None and last.may_retry(wall_now()) else None


def waits_because(job: Job) -> str | None:
    """Why a job must not run now; None where it may."""
    if job.takes_money or job.lets_expire:
        because = paused_because()
        if because:
            return because
    return fact(PAYMENTS_PAUSED) if job.takes_money else None


def run_and_record(app: Flask, job: Job, due_at: datetime, *, by_hand: bool = False) -> str | None:
    """Run a job under its lease and record what became of it. Returns its summary; None where it failed."""
    run_id = job_runs.begin_run(job.name, due_at, by_hand=by_hand)
    try:
        summary = job.run(app)
    except Exception as error:
        logger.exception("Job %s failed (due %s)", job.name, iso(due_at))
        job_runs.fail_run(run_id, f"{type(error).__name__}: {error}")
        return None
    job_runs.end_run(run_id, summary)
    logger.info("Job %s (due %s): %s", job.name, iso(due_at), summary)
    return summary


@contextmanager
def lease_held(app: Flask, name: str, holder: str) -> Iterator[bool]:
    """Hold a lease, renewing it in the background; yields whether it was free."""
    if not take_lease(name, holder, LEASE_SECONDS):
        yield False
        return
    done = threading.Event()

    def renew() -> None:
        while not done.wait(RENEW_SECONDS):
            try:
                with app.app_context():
                    take_lease(name, holder, LEASE_SECONDS)
            except Exception:
                logger.exception("The lease %s could not be renewed", name)

    renewer = threading.Thread(target=renew, name=f"lease-{name}", daemon=True)
    renewer.start()
    try:
        yield True
    finally:
        done.set()
        renewer.join()
        give_back_lease(name, holder)


def run_by_hand(app: Flask, job: Job, at: datetime) -> str | None:
    """Run a job now, for someone who asked. Returns its summary; None where it failed.

    Raises Conflict where the job is at work in another process, or has to wait.
    """
    because = waits_because(job)
    if because:
        raise Conflict(f"{job.name} is paused: {because}")
    with lease_held(app, f"job:{job.name}", new_holder()) as is_ours:
        if not is_ours:
            raise Conflict(f"{job.name} is at work in another process; try again in a minute.")
        job_runs.fail_crashed_runs(job.name)
        return run_and_record(app, job, at, by_hand=True)

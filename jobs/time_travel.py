"""Drives a journey through time: from instant to instant, so that everything happens in its order.

At each instant the sandbox does what is due, its events are handed over and processed, and the jobs that are
due run. The next instant is the soonest at which the sandbox or a job has something to do. Nothing here is done
twice where a driver was killed: each of these finds what was done.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from flask import Flask

from errors import Conflict
from jobs.runner import Runner, lease_held
from jobs.schedule import JOBS, Daily, Job
from services.billing.inbox import process_due, process_event, store_event
from services.clock import business_now
from services.operations import job_runs
from services.operations.leases import LEASE_SECONDS, new_holder
from services.operations.time_travel import (
    LEASE,
    Journey,
    begin_journey,
    continue_journey,
    end_journey,
    last_journey,
    move_on,
    note_problem,
)

logger = logging.getLogger("coffer.time_travel")
TICK, HOUR, DAY = timedelta(microseconds=1), timedelta(hours=1), timedelta(days=1)
MOST_ROUNDS = 50
JOB_WAIT_SECONDS = LEASE_SECONDS + 15


class Traveller:
    """Drives one journey in this process, where the sandbox runs."""

    def __init__(self, app: Flask, sandbox: Any, jobs: tuple[Job, ...] = JOBS):
        self._app = app
        self._sandbox = sandbox
        self._jobs = tuple(job for job in jobs if not job.is_of_wall_clock)
        self._runner = Runner(app, self._jobs)
        self._holder = new_holder()

    def begin(self, to_at: datetime, actor: str) -> Journey:
        """Write the journey down; ``drive`` does it. Raises InvalidRequest, Conflict."""
        return begin_journey(to_at, actor, self._holder)

    def take_over(self, actor: str) -> Journey:
        """Have ``drive`` go on with a journey that lost its driver. Raises Conflict."""
        return continue_journey(actor, self._holder)

    def drive_beside(self) -> None:
        """Drive in a thread of its own."""
        threading.Thread(target=self.drive, name="time-travel", daemon=True).start()

    def drive(self, watch: Callable[[Journey], None] = lambda _journey: None) -> None:
        """Drive to the end of the journey, telling ``watch`` after each step. What fails is written down."""
        with (
            self._app.app_context(),
            lease_held(self._app, LEASE, self._holder) as is_ours,
            self._sandbox.held_back(),
        ):
            if is_ours:
                end_journey(self._holder, self._failure_on_the_way(watch))

    def _failure_on_the_way(self, watch: Callable[[Journey], None]) -> str | None:
        """Go all the way; what went wrong where it cannot go on."""
        try:
            self._app.extensions["inbox_worker"].wait()
            while self._step(watch):
                pass
        except Exception as error:
            logger.exception("The journey cannot go on")
            return f"{type(error).__name__}: {error}"
        return None

    def _step(self, watch: Callable[[Journey], None]) -> bool:
        """Do all that is due now, then move on. False at the end of the journey."""
        with self._app.app_context():
            self._settle()
            for job in self._jobs:
                self._run(job)
            self._settle()
        with self._app.app_context():
            journey, now = last_journey(), business_now()
            assert journey is not None
            watch(journey)
            return now < journey.to_at and move_on(self._next_instant(now, journey.to_at), self._holder)

    def _settle(self) -> None:
        """The sandbox's part: what is due there, then its events, until nothing comes any more."""
        payments = self._app.extensions["payments"]
        for _ in range(MOST_ROUNDS):
            busy = self._sandbox.advance() + self._sandbox.hand_over(self._take)
            if not busy + sum(process_due(payments).values()):
                return
        note_problem("The sandbox and the inbox did not come to rest.")

    def _take(self, payload: bytes, header: str) -> bool:
        """An event as the webhook's route takes it, processed at once."""
        event = self._app.extensions["webhook_verifier"](payload, header)
        row_id = store_event(payload.decode(), event.id, event.type, event.object_id)
        if row_id is not None and process_event(row_id, self._app.extensions["payments"]) == "failed":
            note_problem(f"Event {event.id} ({event.type}) failed; it is tried again.")
        return True

    def _run(self, job: Job) -> None:
        """Run a job that is due, once nobody else is at it."""
        until = time.monotonic() + JOB_WAIT_SECONDS
        while True:
            with self._app.app_context():
                if self._runner.run_if_due(job):
                    break
            if time.monotonic() > until:
                note_problem(f"{job.name} is at work in another process for too long.")
                return
            time.sleep(0.2)
        with self._app.app_context():
            last = job_runs.last_scheduled_run(job.name)
            if last is not None and last.state == "failed":
                note_problem(f"{job.name}: {last.error}")

    def _next_instant(self, now: datetime, to_at: datetime) -> datetime:
        """The soonest instant after now at which there is something to do; at most a day, never past the end."""
        instants = [to_at, now + DAY, self._sandbox.next_due(), *(_next_of(job, now) for job in self._jobs)]
        return min(instant for instant in instants if instant is not None and instant > now)


def _next_of(job: Job, now: datetime) -> datetime | None:
    """When a job that will have something to do runs next; one that cannot say runs each hour."""
    when = job.when
    if isinstance(when, Daily):
        return when.next_due(now)
    if job.next_work is None:
        return max(when.next_due(now), when.latest_due(now + HOUR))
    work = job.next_work(now)
    return None if work is None else when.next_due(work - TICK)


def barred_because(app: Flask) -> str | None:
    """Why this process cannot move the clock; None where it can. Asks nobody and starts nothing."""
    if not app.extensions["settings"].uses_sandbox:
        return "Stripe takes the payments of this instance. Its clock cannot be moved."
    if app.extensions["payments"].sandbox_is_elsewhere:
        return "The sandbox runs in another process of this instance: only there can the clock be moved."
    return None


def traveller_for(app: Flask) -> Traveller:
    """The driver for this process. Raises Conflict where the clock cannot be moved here."""
    sandbox = app.extensions["payments"].local_sandbox() if barred_because(app) is None else None
    because = barred_because(app)
    if because is not None:
        raise Conflict(because)
    return Traveller(app, sandbox)

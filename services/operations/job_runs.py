"""The records of job runs: they decide what is due, and show what happened.

A run stands for one due instant of one job. What is due is the latest due instant after the last one that has
a record: however many instants were missed, one run makes up for them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from extensions import db
from models.jobs import JobRun
from services.clock import business_now, iso, wall_now
from services.operations.facts import fact, set_fact
from services.unit_of_work import atomic

JOBS_SINCE = "jobs_since"
LONGEST_ERROR = 2_000
FIRST_RETRY_SECONDS = 60
LONGEST_RETRY_SECONDS = 3_600
# A run whose process ended is tried again at once, but a job that ends its process each time must not loop.
PROMPT_ATTEMPTS = 3
CRASHED = "The process that ran it ended before the job did."


@dataclass(frozen=True, slots=True)
class LastRun:
    """The latest scheduled run of a job."""

    run_id: int
    due_at: datetime
    state: str
    attempts: int
    finished_at: datetime | None
    error: str | None

    def may_retry(self, now: datetime) -> bool:
        """Whether a failed run's pause is over. Wall clock."""
        if self.state != "failed" or self.finished_at is None:
            return False
        if self.error == CRASHED and self.attempts < PROMPT_ATTEMPTS:
            return True
        pause = min(FIRST_RETRY_SECONDS * 2 ** (self.attempts - 1), LONGEST_RETRY_SECONDS)
        return now >= self.finished_at + timedelta(seconds=pause)


def last_scheduled_run(job: str) -> LastRun | None:
    """The scheduled run with the latest due instant; None before the first."""
    row = db.session.execute(
        select(JobRun.id, JobRun.due_at, JobRun.state, JobRun.attempts, JobRun.finished_at, JobRun.error)
        .where(JobRun.job == job, JobRun.by_hand.is_(False))
        .order_by(JobRun.due_at.desc())
        .limit(1)
    ).first()
    return LastRun(*row) if row else None


def jobs_since() -> datetime:
    """From when on due instants count: the first time that anything looked. Business clock."""
    kept = fact(JOBS_SINCE)
    if kept is None:
        kept = iso(business_now())
        set_fact(JOBS_SINCE, kept)
    return datetime.fromisoformat(kept)


@atomic
def begin_run(job: str, due_at: datetime, *, by_hand: bool = False) -> int:
    """Record that a job starts, or starts again, for a due instant; the caller holds the job's lease."""
    if not by_hand:
        again = db.session.scalar(
            update(JobRun)
            .where(JobRun.job == job, JobRun.due_at == due_at, JobRun.by_hand.is_(False))
            .values(
                state="running", attempts=JobRun.attempts + 1, started_at=wall_now(), finished_at=None,
                error=None, summary="",
            )
            .returning(JobRun.id)
        )  # fmt: skip
        if again is not None:
            return again
    run = JobRun(job=job, due_at=due_at, by_hand=by_hand, attempts=1, state="running", started_at=wall_now())
    db.session.add(run)
    db.session.flush()
    return run.id


@atomic
def end_run(run_id: int, summary: str) -> None:
    """Record that a run did its work."""
    _close(run_id, state="done", summary=summary, error=None)


@atomic
def fail_run(run_id: int, error: str) -> None:
    """Record that a run failed, and why."""
    _close(run_id, state="failed", summary="", error=error[:LONGEST_ERROR])


@atomic
def fail_crashed_runs(job: str) -> int:
    """Mark runs as failed whose process is gone and return how many; the caller holds the job's lease."""
    changed = db.session.execute(
        update(JobRun)
        .where(JobRun.job == job, JobRun.state == "running")
        .values(state="failed", finished_at=wall_now(), error=CRASHED)
    )
    return changed.rowcount  # type: ignore[attr-defined]


def latest_runs() -> dict[str, JobRun]:
    """For each job that ever ran, its latest run of any kind."""
    newest = select(func.max(JobRun.id)).group_by(JobRun.job)
    return {run.job: run for run in db.session.scalars(select(JobRun).where(JobRun.id.in_(newest)))}


def _close(run_id: int, **values: object) -> None:
    db.session.execute(
        update(JobRun)
        .where(JobRun.id == run_id, JobRun.state == "running")
        .values(finished_at=wall_now(), **values)
    )

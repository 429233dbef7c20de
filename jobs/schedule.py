"""The one table of jobs: name, when, what it does, whether it takes money."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from flask import Flask

from jobs import (
    abandon_orders,
    backup,
    charge_overage,
    deliver_events,
    expire_grants,
    issue_statements,
    monthly_grants,
    process_inbox,
    prune,
    reconcile,
    release_holds,
    retry_charges,
    send_notices,
    verify_ledger,
)
from services.billing.abandonment import next_order_end
from services.billing.subscriptions import next_month_at
from services.ledger.expiry_sweep import next_expiry_at

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Every:
    """Due at each multiple of an interval, counted from 1970."""

    interval: timedelta

    def latest_due(self, now: datetime) -> datetime:
        """The last due instant that is not after now."""
        return EPOCH + (now - EPOCH) // self.interval * self.interval

    def next_due(self, now: datetime) -> datetime:
        """The first due instant after now."""
        return self.latest_due(now) + self.interval

    def __str__(self) -> str:
        seconds = int(self.interval.total_seconds())
        return f"every {seconds // 60} min" if seconds % 60 == 0 else f"every {seconds} s"


@dataclass(frozen=True, slots=True)
class Daily:
    """Due once a day, at a time of UTC."""

    at: time

    def latest_due(self, now: datetime) -> datetime:
        """The last due instant that is not after now."""
        today = datetime.combine(now.astimezone(UTC).date(), self.at, UTC)
        return today if today <= now else today - timedelta(days=1)

    def next_due(self, now: datetime) -> datetime:
        """The first due instant after now."""
        return self.latest_due(now) + timedelta(days=1)

    def __str__(self) -> str:
        return f"daily at {self.at:%H:%M} UTC"


@dataclass(frozen=True, slots=True)
class Job:
    """One job: a sweep over what is due, harmless when run again.

    ``run`` takes the app, its context pushed, and returns what it did, in words. A job that takes money, or
    lets credits expire, waits while the clock is not trusted; one that takes money also after a restore.
    """

    name: str
    when: Every | Daily
    run: Callable[[Flask], str]
    sentence: str
    takes_money: bool = False
    lets_expire: bool = False
    next_work: Callable[[datetime], datetime | None] | None = None
    is_of_wall_clock: bool = False


def _nothing_by_itself(after: datetime) -> None:
    """Of a job whose work comes with what others do, and is done at each step of a journey."""


JOBS: tuple[Job, ...] = (
    Job(
        "expire-grants", Every(timedelta(minutes=1)), expire_grants.run,
        "Writes off credits whose time is over.", lets_expire=True, next_work=next_expiry_at,
    ),
    Job(
        "release-holds", Every(timedelta(minutes=1)), release_holds.run,
        "Gives back what holds reserved whose time is over.", lets_expire=True, next_work=next_expiry_at,
    ),
    Job(
        "process-inbox", Every(timedelta(minutes=1)), process_inbox.run,
        "Processes payment events that were not processed when they came, or failed.",
        next_work=_nothing_by_itself,
    ),
    Job(
        "abandon-orders", Every(timedelta(minutes=10)), abandon_orders.run,
        "Closes orders past their time; those that turn out to be paid are fulfilled.",
        next_work=next_order_end,
    ),
    Job(
        "monthly-grants", Every(timedelta(minutes=10)), monthly_grants.run,
        "Grants each month's credits of annual and of given plans; begins what follows a change of rhythm.",
        next_work=next_month_at,
    ),
    Job(
        "charge-overage", Every(timedelta(minutes=10)), charge_overage.run,
        "Charges what was bought in cycles that are over, each once.", takes_money=True,
    ),
    Job(
        "retry-charges", Every(timedelta(minutes=10)), retry_charges.run,
        "Tries refused charges again on days 1, 3, 5 and 7, and those whose outcome nobody knows.",
        takes_money=True,
    ),
    Job(
        "issue-statements", Every(timedelta(minutes=30)), issue_statements.run,
        "Issues each agency's statement of a cycle that is over.",
    ),
    Job(
        "send-notices", Every(timedelta(minutes=1)), send_notices.run,
        "Tells of low balances, credits about to expire and receipts; sends the mails that wait.",
        next_work=_nothing_by_itself,
    ),
    Job(
        "deliver-events", Every(timedelta(seconds=30)), deliver_events.run,
        "Puts what happened into the published order and sends it to the webhooks that want it.",
        is_of_wall_clock=True,
    ),
    Job(
        "reconcile", Daily(time(2, 40)), reconcile.run,
        "Compares with the payment provider: credits what was paid and missed, lists the rest.",
    ),
    Job(
        "verify-ledger", Daily(time(3, 10)), verify_ledger.run,
        "Proves every rule of the ledger over every line; notes the journal's heads outside the database.",
    ),
    Job(
        "backup", Daily(time(3, 40)), backup.run,
        "Writes a backup to BACKUP_DIR and keeps the newest BACKUP_KEEP.", is_of_wall_clock=True,
    ),
    Job(
        "prune", Daily(time(4, 10)), prune.run,
        "Drops rows past their time: idempotency keys, sessions, tokens, throttles, event bodies, job runs, "
        "mails, notices.",
        is_of_wall_clock=True,
    ),
)  # fmt: skip


def job_named(name: str) -> Job | None:
    """The job of a name; None where there is none."""
    return next((job for job in JOBS if job.name == name), None)

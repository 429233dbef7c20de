"""Dropping rows that only pile up and that nobody asks for any more.

Source: docs/operations.md, what is pruned. The journal, payments and the audit log are never pruned.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, delete, or_, select, tuple_, update

from extensions import db
from models.accounts import LoginThrottle, OneTimeToken, UserSession
from models.inbox import InboxEvent
from models.jobs import JobRun
from models.ledger import IdempotencyKey
from models.notices import Notice, OutboxMail
from services.clock import business_now, wall_now
from services.unit_of_work import atomic

KEEP_IDEMPOTENCY_KEYS = timedelta(days=30)
KEEP_SESSIONS = timedelta(days=30)
KEEP_TOKENS = timedelta(days=30)
KEEP_THROTTLES = timedelta(days=2)
KEEP_INBOX_BODIES = timedelta(days=90)
KEEP_JOB_RUNS = timedelta(days=30)
KEEP_MAILS = timedelta(days=90)
KEEP_NOTICES = timedelta(days=365)
CHUNK_ROWS = 500


def prune_all() -> dict[str, int]:
    """Drop what is past its time, in short units, and say how many rows of what. Idempotent."""
    now = wall_now()
    return {
        "idempotency keys": _drop(
            IdempotencyKey.__table__, IdempotencyKey.created_at < now - KEEP_IDEMPOTENCY_KEYS
        ),
        "sessions": _drop(UserSession.__table__, _ended_sessions(now)),
        "tokens": _drop(OneTimeToken.__table__, OneTimeToken.expires_at < now - KEEP_TOKENS),
        "throttles": _drop(LoginThrottle.__table__, LoginThrottle.window_started_at < now - KEEP_THROTTLES),
        "inbox bodies": _repeat(lambda: _drop_bodies(now - KEEP_INBOX_BODIES)),
        "job runs": _drop(JobRun.__table__, _old_runs(now)),
        "mails": _drop(OutboxMail.__table__, _old_mails(now)),
        "notices": _drop(Notice.__table__, _old_notices()),
    }  # fmt: skip


def _ended_sessions(now: datetime) -> ColumnElement[bool]:
    long_ago = now - KEEP_SESSIONS
    return or_(UserSession.last_seen_at < long_ago, UserSession.revoked_at < long_ago)


def _old_runs(now: datetime) -> ColumnElement[bool]:
    """The latest scheduled run of each job stays, however old: it says what is due."""
    newer = JobRun.__table__.alias("newer")
    is_latest = ~select(1).where(
        newer.c.job == JobRun.job, newer.c.due_at > JobRun.due_at, ~newer.c.by_hand
    ).exists()  # fmt: skip
    return (JobRun.started_at < now - KEEP_JOB_RUNS) & (JobRun.state != "running") & (
        JobRun.by_hand | ~is_latest
    )  # fmt: skip


def _old_mails(now: datetime) -> ColumnElement[bool]:
    return (OutboxMail.created_at < now - KEEP_MAILS) & (OutboxMail.state != "queued")


def _old_notices() -> ColumnElement[bool]:
    """Their keys go with them: nothing is told by a key as old as this."""
    has_mail = select(1).where(OutboxMail.notice_id == Notice.id).exists()
    return (Notice.created_at < business_now() - KEEP_NOTICES) & ~has_mail


def _drop(table: Table, condition: ColumnElement[bool]) -> int:
    return _repeat(lambda: _drop_chunk(table, condition))


def _repeat(chunk: Callable[[], int]) -> int:
    total = 0
    while True:
        dropped = chunk()
        total += dropped
        if dropped < CHUNK_ROWS:
            return total


@atomic
def _drop_chunk(table: Table, condition: ColumnElement[bool]) -> int:
    """One short unit, so that writers are not kept waiting."""
    columns = list(table.primary_key.columns)
    keys = db.session.execute(select(*columns).where(condition).limit(CHUNK_ROWS)).all()
    if keys:
        db.session.execute(delete(table).where(tuple_(*columns).in_([tuple(key) for key in keys])))
    return len(keys)


@atomic
def _drop_bodies(before: datetime) -> int:
    """Bodies of settled events go, the events stay: their ids keep an event from being processed twice."""
    ids = db.session.scalars(
        select(InboxEvent.id)
        .where(
            InboxEvent.received_at < before,
            InboxEvent.body.is_not(None),
            InboxEvent.state.in_(("processed", "ignored")),
        )
        .limit(CHUNK_ROWS)
    ).all()
    if ids:
        db.session.execute(update(InboxEvent).where(InboxEvent.id.in_(ids)).values(body=None))
    return len(ids)

"""Mails that wait to be sent: tried until they are taken, or given up. Source: docs/notices.md, mail."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select

from extensions import db
from models.accounts import Account
from models.notices import Notice, OutboxMail
from services.clock import boot_seconds, wall_now
from services.notices.notices import NoticeView, is_wanted, view_of
from services.unit_of_work import atomic

logger = logging.getLogger("coffer.notices")
Outcome = Literal["sent", "temporary", "permanent"]
WAITS_MINUTES = (1, 5, 15, 60, 240, 720, 1440)
MOST_A_RUN = 200
# A server that hangs takes its time with every mail: the run ends and the other sweeps get their turn.
LONGEST_RUN_SECONDS = 20.0
CLAIMED_MINUTES = 5


@dataclass(frozen=True, slots=True)
class Due:
    """A mail to send, and what it tells."""

    id: int
    recipient: str
    notice: NoticeView
    account_slug: str
    account_name: str
    locale: str
    time_zone: str
    currency: str


@dataclass(frozen=True, slots=True)
class MailView:
    """A mail of the log."""

    id: int
    kind: str
    recipient: str
    subject: str
    state: str
    attempts: int
    error: str | None
    created_at: datetime
    sent_at: datetime | None


# Renders and sends one mail: what became of it, its subject, and the error where there was one.
Send = Callable[[Due], tuple[Outcome, str, str | None]]


def send_due(send: Send) -> dict[str, int]:
    """Send what is due, each mail claimed before and noted after; how many of each outcome.

    A process that dies in between leaves the mail for the next run: at worst it is sent twice.
    """
    counts: dict[str, int] = {}
    ends_at = boot_seconds() + LONGEST_RUN_SECONDS
    for _ in range(MOST_A_RUN):
        due = _claim() if boot_seconds() < ends_at else None
        if due is None:
            break
        try:
            outcome, subject, error = send(due)
        except Exception as problem:  # one mail that cannot be made must not stop the others
            logger.exception("mail %s could not be made", due.id)
            outcome, subject, error = "temporary", "", f"{type(problem).__name__}: {problem}"
        _note(due.id, outcome, subject, error)
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts


@atomic
def _claim() -> Due | None:
    """The next mail that is due and still wanted, taken for a while; those no longer wanted are dropped."""
    while (row := _next()) is not None:
        notice = db.session.get_one(Notice, row.notice_id)
        if is_wanted(notice.account_id, notice.kind, row.recipient):
            row.attempts += 1
            row.next_attempt_at = wall_now() + timedelta(minutes=CLAIMED_MINUTES)
            return _due(row, notice)
        row.state, row.next_attempt_at, row.error = "dropped", None, "no longer wanted, or no longer theirs"
        db.session.flush()
    return None


def _next() -> OutboxMail | None:
    return db.session.scalar(
        select(OutboxMail)
        .where(OutboxMail.state == "queued", OutboxMail.next_attempt_at <= wall_now())
        .order_by(OutboxMail.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def _due(row: OutboxMail, notice: Notice) -> Due:
    account = db.session.get_one(Account, notice.account_id)
    return Due(
        row.id, row.recipient, view_of(notice), account.slug, account.name, account.locale, account.time_zone,
        account.currency,
    )  # fmt: skip


@atomic
def _note(mail_id: int, outcome: Outcome, subject: str, error: str | None) -> None:
    row, now = db.session.get_one(OutboxMail, mail_id), wall_now()
    row.subject, row.error = subject[:255], error and error[:500]
    if outcome == "sent":
        row.state, row.sent_at, row.next_attempt_at = "sent", now, None
    elif outcome == "permanent" or row.attempts > len(WAITS_MINUTES):
        row.state, row.next_attempt_at = "failed", None
    else:
        row.next_attempt_at = now + timedelta(minutes=WAITS_MINUTES[row.attempts - 1])


def mail_log(limit: int = 100) -> list[MailView]:
    """The latest mails, newest first."""
    rows = db.session.scalars(select(OutboxMail).order_by(OutboxMail.id.desc()).limit(limit))
    return [
        MailView(r.id, r.kind, r.recipient, r.subject, r.state, r.attempts, r.error, r.created_at, r.sent_at)
        for r in rows
    ]

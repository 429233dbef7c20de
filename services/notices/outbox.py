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
from services.clock import wall_now
from services.notices.notices import NoticeView, view_of
from services.unit_of_work import atomic

logger = logging.getLogger("coffer.notices")
Outcome = Literal["sent", "temporary", "permanent"]
WAITS_MINUTES = (1, 5, 15, 60, 240, 720, 1440)
MOST_A_RUN = 200
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
    for _ in range(MOST_A_RUN):
        due = _claim()
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
    now = wall_now()
    row = db.session.scalar(
        select(OutboxMail)
        .where(OutboxMail.state == "queued", OutboxMail.next_attempt_at <= now)
        .order_by(OutboxMail.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if row is None:
        return None
    row.attempts += 1
    row.next_attempt_at = now + timedelta(minutes=CLAIMED_MINUTES)
    notice = db.session.get_one(Notice, row.notice_id)
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


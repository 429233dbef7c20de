"""Deliveries: each event to each endpoint that wants it, until it is taken or given up.

A delivery is claimed and committed, sent, and its outcome committed; a process that dies in between leaves it for
the next run, so that it comes at least once. Source: docs/webhooks.md, deliveries.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import func, select

from errors import Conflict, NotFound
from extensions import db
from models.outgoing import Delivery, DeliveryAttempt, OutgoingEvent, WebhookEndpoint
from services.audit import record
from services.clock import wall_now
from services.events.endpoints import give_up_on, secrets_of
from services.events.signing import signed_headers
from services.unit_of_work import atomic, unit_is_open
from turn import set_aside

logger = logging.getLogger("coffer.events")
WAITS_MINUTES = (1, 5, 30, 120, 300, 600, 840, 1200, 1440)
CLAIMED_MINUTES = 5
AT_ONCE = 16
AT_ONCE_PER_ENDPOINT = 4
RUN_SECONDS = 20.0
LONGEST_WAIT = timedelta(days=1)
GONE = 410


class Answer(Protocol):
    """What became of one attempt; ``status_code`` None: nothing was understood."""

    @property
    def status_code(self) -> int | None:
        """Of HTTP."""
        ...

    @property
    def error(self) -> str | None:
        """Why it was not taken; None where it was."""
        ...

    @property
    def duration_ms(self) -> int:
        """From the name to the end of the answer."""
        ...

    @property
    def response(self) -> str:
        """How the answer began."""
        ...

    @property
    def retry_after_seconds(self) -> int | None:
        """For how long the other side wants to be left alone."""
        ...


# Sends headers and a body to an address; never raises.
Send = Callable[[str, dict[str, str], bytes], Answer]


@dataclass(frozen=True, slots=True)
class _NotSent:
    """An attempt that did not leave the house."""

    error: str
    status_code: int | None = None
    duration_ms: int = 0
    response: str = ""
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process is to send."""

    id: int
    endpoint_id: int
    url: str
    event_id: str
    body: bytes
    number: int
    started_at: datetime


def deliver_due(send: Send) -> dict[str, int]:
    """Send what is due, several at once, for about twenty seconds; how many of each outcome.

    An endpoint that does not answer, or is in trouble, is left alone for the rest of the run.
    """
    assert not unit_is_open()
    counts: dict[str, int] = {}
    stalled: set[int] = set()
    ends_at = time.monotonic() + RUN_SECONDS
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhooks") as pool:
        while time.monotonic() < ends_at and (batch := _claim(stalled)):
            under_way = [(claimed, pool.submit(send, *parts)) for claimed, parts in _letters(batch, counts)]
            for claimed, sending in under_way:
                answer = sending.result()
                if answer.status_code is None or answer.status_code >= 500:
                    stalled.add(claimed.endpoint_id)
                state = _note(claimed, answer)
                counts[state] = counts.get(state, 0) + 1
    return counts


def _letters(
    batch: list[Claimed], counts: dict[str, int]
) -> list[tuple[Claimed, tuple[str, dict[str, str], bytes]]]:
    """What each claimed delivery sends; one whose secret cannot be read is noted as failed."""
    letters = []
    for claimed in batch:
        try:
            letters.append((claimed, _letter(claimed)))
        except Conflict as refusal:
            state = _note(claimed, _NotSent(refusal.detail))
            counts[state] = counts.get(state, 0) + 1
    return letters


def _letter(claimed: Claimed) -> tuple[str, dict[str, str], bytes]:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Coffer-Webhooks/1",
        "Connection": "close",
        **signed_headers(
            secrets_of(claimed.endpoint_id), claimed.event_id, int(wall_now().timestamp()), claimed.body
        ),
    }
    return claimed.url, headers, claimed.body


@atomic
def _claim(stalled: set[int]) -> list[Claimed]:
    """Some deliveries that are due, a few of each endpoint."""
    now = wall_now()
    is_due = (Delivery.state == "queued") & (Delivery.next_attempt_at <= now)
    turn = func.row_number().over(partition_by=Delivery.endpoint_id, order_by=Delivery.next_attempt_at)
    due = (
        select(Delivery.id, turn.label("turn"))
        .join(WebhookEndpoint, WebhookEndpoint.id == Delivery.endpoint_id)
        .where(is_due, WebhookEndpoint.is_enabled, WebhookEndpoint.id.not_in(stalled))
        .subquery()
    )
    chosen = db.session.scalars(
        select(due.c.id)
        .where(due.c.turn <= AT_ONCE_PER_ENDPOINT)
        .order_by(due.c.turn, due.c.id)
        .limit(AT_ONCE)
    ).all()
    rows = db.session.scalars(
        select(Delivery)
        .where(Delivery.id.in_(chosen), is_due)
        .order_by(Delivery.id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return [_claimed(row, now) for row in rows]


def _claimed(row: Delivery, now: datetime) -> Claimed:
    row.attempts += 1
    row.tries += 1
    row.next_attempt_at = now + timedelta(minutes=CLAIMED_MINUTES)
    endpoint = db.session.get_one(WebhookEndpoint, row.endpoint_id)
    event = db.session.get_one(OutgoingEvent, row.event_id)
    body = (event.body or "").encode()
    return Claimed(row.id, row.endpoint_id, endpoint.url, event.public_id, body, row.attempts, now)


@atomic
def _note(claimed: Claimed, answer: Answer) -> str:
    """Write down what became of an attempt; the state of the delivery."""
    endpoint = db.session.get_one(
        WebhookEndpoint, claimed.endpoint_id, with_for_update=True, populate_existing=True
    )
    row = db.session.get_one(Delivery, claimed.id, with_for_update=True, populate_existing=True)
    db.session.add(
        DeliveryAttempt(
            delivery_id=row.id, number=claimed.number, started_at=claimed.started_at,
            duration_ms=answer.duration_ms, status_code=answer.status_code,
            error=answer.error and answer.error[:300], response=answer.response[:500],
        )
    )  # fmt: skip
    row.status_code, row.error = answer.status_code, answer.error and answer.error[:300]
    if answer.status_code is not None and 200 <= answer.status_code < 300:
        row.state, row.next_attempt_at, row.finished_at, endpoint.failures = "delivered", None, wall_now(), 0
        return row.state
    endpoint.failures += 1
    _try_again_or_not(row, endpoint, answer)
    return "to be tried again" if row.state == "queued" else row.state


def _try_again_or_not(row: Delivery, endpoint: WebhookEndpoint, answer: Answer) -> None:
    now = wall_now()
    if answer.status_code == GONE and endpoint.is_enabled:
        give_up_on(endpoint, "It answered 410 Gone.")
    if row.state != "queued":
        return
    if row.tries <= len(WAITS_MINUTES) and answer.status_code != GONE:
        asked = timedelta(seconds=answer.retry_after_seconds or 0)
        row.next_attempt_at = now + max(
            timedelta(minutes=WAITS_MINUTES[row.tries - 1]), min(asked, LONGEST_WAIT)
        )
        return
    row.state, row.next_attempt_at, row.finished_at = "failed", None, now
    logger.warning("Delivery %s to endpoint %s is given up: %s", row.id, endpoint.public_id, row.error)
    if endpoint.is_enabled and endpoint.failures > len(WAITS_MINUTES):
        give_up_on(endpoint, f"Nothing got through for days; the last time: {row.error}"[:300])


def deliver_now(delivery_id: int, send: Send) -> str:
    """Send one delivery now, whether it is due or not; what became of it. Raises NotFound, Conflict."""
    letters = _letters([_claim_one(delivery_id)], {})
    if not letters:
        return "to be tried again"
    ((claimed, parts),) = letters
    with set_aside():
        answer = send(*parts)
    return _note(claimed, answer)


@atomic
def _claim_one(delivery_id: int) -> Claimed:
    row = db.session.get(Delivery, delivery_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("There is no such delivery.")
    return _claimed(row, wall_now())


@atomic
def resend(delivery_id: int, endpoint: str, actor: str) -> None:
    """Queue a delivery of an endpoint again, however it went, with all its attempts before it.

    Raises NotFound, Conflict where the endpoint is disabled.
    """
    row = db.session.get(Delivery, delivery_id, with_for_update=True, populate_existing=True)
    found = db.session.get(WebhookEndpoint, row.endpoint_id) if row else None
    if row is None or found is None or found.public_id != endpoint or found.removed_at is not None:
        raise NotFound("There is no such delivery.")
    if not found.is_enabled:
        raise Conflict("The endpoint is disabled; enable it first.")
    row.state, row.tries, row.next_attempt_at, row.finished_at = "queued", 0, wall_now(), None
    record("delivery.resent", actor, found.account_id, delivery=delivery_id, endpoint=endpoint)

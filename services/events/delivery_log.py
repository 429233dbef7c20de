"""What became of each delivery, for who looks after the endpoints."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from errors import NotFound
from extensions import db
from models.accounts import Account
from models.outgoing import Delivery, DeliveryAttempt, OutgoingEvent, WebhookEndpoint


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """One event on its way to one endpoint. ``account`` is a slug; None: of no account."""

    id: int
    event_id: str
    type: str
    account: str | None
    state: str
    attempts: int
    status_code: int | None
    error: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt, and how the answer began."""

    number: int
    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None
    response: str


def deliveries_of(
    endpoint_id: int, state: str | None = None, limit: int = 50, older_than: int | None = None
) -> list[DeliveryView]:
    """The deliveries of an endpoint, newest first."""
    wanted = [Delivery.endpoint_id == endpoint_id]
    if state is not None:
        wanted.append(Delivery.state == state)
    if older_than is not None:
        wanted.append(Delivery.id < older_than)
    return _views(limit, *wanted)


def delivery_of(endpoint_id: int, delivery_id: int) -> tuple[DeliveryView, str, list[AttemptView]]:
    """One delivery of an endpoint with its body and its attempts, the newest first. Raises NotFound."""
    found = _views(1, Delivery.endpoint_id == endpoint_id, Delivery.id == delivery_id)
    if not found:
        raise NotFound("There is no such delivery.")
    body = db.session.scalar(
        select(OutgoingEvent.body)
        .join(Delivery, Delivery.event_id == OutgoingEvent.id)
        .where(Delivery.id == delivery_id)
    )
    attempts = db.session.scalars(
        select(DeliveryAttempt)
        .where(DeliveryAttempt.delivery_id == delivery_id)
        .order_by(DeliveryAttempt.number.desc())
    )
    return found[0], body or "", [
        AttemptView(a.number, a.started_at, a.duration_ms, a.status_code, a.error, a.response) for a in attempts
    ]  # fmt: skip


def counts_by_state(endpoint_id: int) -> dict[str, int]:
    """How many deliveries of an endpoint there are in each state."""
    rows = db.session.execute(
        select(Delivery.state, func.count())
        .where(Delivery.endpoint_id == endpoint_id)
        .group_by(Delivery.state)
    )
    return {state: count for state, count in rows}


def waiting_by_endpoint() -> dict[int, int]:
    """How many deliveries wait for each endpoint that some wait for."""
    rows = db.session.execute(
        select(Delivery.endpoint_id, func.count())
        .join(WebhookEndpoint, WebhookEndpoint.id == Delivery.endpoint_id)
        .where(Delivery.state == "queued")
        .group_by(Delivery.endpoint_id)
    )
    return {endpoint_id: count for endpoint_id, count in rows}


def delivery_of_event(event_id: int) -> int | None:
    """The delivery of an event that goes to one endpoint; None where there is none."""
    return db.session.scalar(select(Delivery.id).where(Delivery.event_id == event_id))


def _views(limit: int, *conditions: Any) -> list[DeliveryView]:
    rows = db.session.execute(
        select(Delivery, OutgoingEvent.public_id, OutgoingEvent.type, Account.slug)
        .join(OutgoingEvent, OutgoingEvent.id == Delivery.event_id)
        .outerjoin(Account, Account.id == OutgoingEvent.account_id)
        .where(*conditions)
        .order_by(Delivery.id.desc())
        .limit(limit)
        .execution_options(populate_existing=True)
    ).all()
    return [
        DeliveryView(
            row.id, event_id, event_type, account, row.state, row.attempts, row.status_code, row.error,
            row.created_at, row.next_attempt_at, row.finished_at,
        )
        for row, event_id, event_type, account in rows
    ]  # fmt: skip

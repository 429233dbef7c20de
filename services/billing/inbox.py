"""The inbox: events are stored as they came, answered, and then processed, each until it has succeeded.

Source: docs/operations.md, webhooks.
"""

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.dialects import postgresql

from errors import CofferError, Conflict, NotFound
from extensions import db
from gateways.payments import Payments
from models.inbox import InboxEvent
from services.billing.environment import instance_id
from services.billing.event_handlers import HANDLERS, Event
from services.clock import to_microseconds, wall_now
from services.statements import Statement
from services.unit_of_work import after_commit, atomic

logger = logging.getLogger("coffer.inbox")
MOST_ATTEMPTS = 20
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=6)
DUE_STATES = ("received", "failed")
_events = InboxEvent.__table__.c
_new_event = {
    "stripe_event_id": bindparam("event_id"), "type": bindparam("kind"), "object_id": bindparam("of_object"),
    "body": bindparam("content"), "state": "received", "attempts": 0, "received_at": bindparam("now_at"),
    "next_attempt_at": bindparam("now_at"),
}  # fmt: skip
# The form that SQLite and PostgreSQL share; either dialect writes it.
STORE = Statement(
    postgresql.insert(InboxEvent.__table__)
    .values(_new_event)
    .on_conflict_do_nothing(index_elements=["stripe_event_id"])
    .returning(_events.id)
)
LOCK_DUE = Statement(
    select(_events.stripe_event_id, _events.type, _events.object_id, _events.body, _events.attempts)
    .where(
        _events.id == bindparam("row_id"),
        or_(*(_events.state == state for state in DUE_STATES)),
        _events.body.is_not(None),
        _events.next_attempt_at <= bindparam("now_at"),
    )
    .with_for_update()
)
CLAIM = Statement(
    update(InboxEvent.__table__)
    .where(_events.id == bindparam("row_id"))
    .values(attempts=_events.attempts + 1, next_attempt_at=bindparam("next_at"))
)
FINISH = Statement(
    update(InboxEvent.__table__)
    .where(_events.id == bindparam("row_id"))
    .values(
        state=bindparam("new_state"), error=bindparam("note"), next_attempt_at=None,
        processed_at=bindparam("now_at"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EventView:
    """An event of the inbox, without its body."""

    id: int
    stripe_event_id: str
    type: str
    object_id: str
    state: str
    attempts: int
    error: str | None
    received_at: datetime
    next_attempt_at: datetime | None
    processed_at: datetime | None


@atomic
def store_event(body: str, event_id: str, kind: str, object_id: str) -> int | None:
    """Keep an event; its row's id, or None where it was here already. Idempotent."""
    row = STORE.first(
        event_id=event_id, kind=kind, of_object=object_id, content=body, now_at=to_microseconds(wall_now())
    )
    return None if row is None else row[0]


def process_event(row_id: int, payments: Payments) -> str:
    """Process one event that is due; its state afterwards. Nothing that goes wrong in it is raised."""
    event = _claim(row_id)
    if event is None:
        return _state_of(row_id)
    try:
        state, note = _handle(event, payments)
    except CofferError as refusal:
        return _failed(row_id, str(refusal))
    except Exception as error:
        logger.exception("Event %s (%s) failed", event.id, event.type)
        return _failed(row_id, f"{type(error).__name__}: {error}")
    if isinstance(event.finish, _Finish) and event.finish.is_done:
        return state
    return _finished(row_id, state, note)


def process_due(payments: Payments, limit: int = 200) -> dict[str, int]:
    """Process what is due, oldest first; how many ended in which state."""
    counts: dict[str, int] = {}
    for row_id in _due(limit):
        state = process_event(row_id, payments)
        counts[state] = counts.get(state, 0) + 1
    return counts


def replay(event_id: str, payments: Payments) -> str:
    """Process a stored event again from the start; its state afterwards. Raises NotFound, Conflict."""
    return process_event(_reset(event_id), payments)


def events(state: str | None = None, limit: int = 100, older_than: int | None = None) -> list[EventView]:
    """The newest events of the inbox, or those below a row's id."""
    query = select(InboxEvent).order_by(InboxEvent.id.desc()).limit(limit)
    if state is not None:
        query = query.where(InboxEvent.state == state)
    if older_than is not None:
        query = query.where(InboxEvent.id < older_than)
    return [_view(row) for row in db.session.scalars(query)]


def event_named(event_id: str) -> tuple[EventView, str | None]:
    """An event by its id at the provider, and its body unless that was pruned. Raises NotFound."""
    row = db.session.scalar(select(InboxEvent).where(InboxEvent.stripe_event_id == event_id))
    if row is None:
        raise NotFound(f"There is no event {event_id!r}.")
    return _view(row), row.body


def counts_by_state() -> dict[str, int]:
    """How many events are in each state."""
    return dict(db.session.execute(select(InboxEvent.state, func.count()).group_by(InboxEvent.state)).all())


def _view(row: InboxEvent) -> EventView:
    return EventView(
        row.id, row.stripe_event_id, row.type, row.object_id, row.state, row.attempts, row.error,
        row.received_at, row.next_attempt_at, row.processed_at,
    )  # fmt: skip


def _handle(event: Event, payments: Payments) -> tuple[str, str | None]:
    handler = HANDLERS.get(event.type)
    if handler is None:
        return "ignored", None
    if event.instance not in (None, instance_id()):
        return "ignored", "Of another instance."
    return ("processed", None) if handler(event, payments) else ("ignored", "Nothing of this instance.")


@atomic
def _due(limit: int) -> list[int]:
    return list(
        db.session.scalars(
            select(InboxEvent.id)
            .where(InboxEvent.state.in_(DUE_STATES), InboxEvent.next_attempt_at <= wall_now())
            .order_by(InboxEvent.next_attempt_at, InboxEvent.id)
            .limit(limit)
        )
    )


@atomic
def _claim(row_id: int) -> Event | None:
    """Take an event for processing, where it is due and nobody else has it."""
    now = wall_now()
    row = LOCK_DUE.first(row_id=row_id, now_at=to_microseconds(now))
    if row is None:
        return None
    event_id, kind, object_id, body, attempts = row
    # Should this process die now, the event is due again then.
    CLAIM.run(row_id=row_id, next_at=to_microseconds(now + _wait(attempts + 1))).close()
    return _event(row_id, event_id, kind, object_id, body)


def _event(row_id: int, event_id: str, kind: str, object_id: str, body: str) -> Event:
    content: Any = json.loads(body)
    data = content.get("data")
    item = data.get("object") if isinstance(data, dict) else None
    return Event(
        event_id, kind, object_id, item if isinstance(item, dict) else {},
        finish=_Finish(row_id),
    )  # fmt: skip


class _Finish:
    """Notes within a handler's own unit that its event is processed, which spares a unit afterwards."""

    def __init__(self, row_id: int):
        self._row_id = row_id
        self.is_done = False

    def __call__(self) -> None:
        _note_end(self._row_id, "processed", None)
        after_commit(self._committed)

    def _committed(self) -> None:
        self.is_done = True


def _wait(attempts: int) -> timedelta:
    """A minute, doubled with each attempt, six hours at most."""
    return min(FIRST_WAIT * 2 ** min(attempts - 1, 16), LONGEST_WAIT)


@atomic
def _finished(row_id: int, state: str, note: str | None) -> str:
    _note_end(row_id, state, note)
    return state


def _note_end(row_id: int, state: str, note: str | None) -> None:
    FINISH.run(row_id=row_id, new_state=state, note=note, now_at=to_microseconds(wall_now())).close()


@atomic
def _failed(row_id: int, error: str) -> str:
    row = db.session.get_one(InboxEvent, row_id)
    row.state, row.error = "failed", error[:2000].replace("\x00", "")
    if row.attempts >= MOST_ATTEMPTS:
        row.next_attempt_at = None
    logger.warning("Event %s (%s) failed, attempt %s: %s", row.stripe_event_id, row.type, row.attempts, error)
    return "failed"


@atomic
def _state_of(row_id: int) -> str:
    state = db.session.scalar(select(InboxEvent.state).where(InboxEvent.id == row_id))
    if state is None:
        raise NotFound("There is no such event.")
    return state


@atomic
def _reset(event_id: str) -> int:
    row = db.session.scalar(
        select(InboxEvent).where(InboxEvent.stripe_event_id == event_id).with_for_update()
    )
    if row is None:
        raise NotFound(f"There is no event {event_id!r}.")
    if row.body is None:
        raise Conflict("The event's body has been pruned; it cannot be processed again.")
    row.state, row.attempts, row.error = "received", 0, None
    row.next_attempt_at, row.processed_at = wall_now(), None
    return row.id

"""Reading events in published order."""

from dataclasses import dataclass

from sqlalchemy import select

from extensions import db
from models.outgoing import OutgoingEvent


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, as their bodies in JSON, and where to go on."""

    bodies: tuple[str, ...]
    next_cursor: int
    has_more: bool


def events_after(
    cursor: int = 0, *, limit: int = 50, account_id: int | None = None, event_type: str | None = None
) -> EventPage:
    """Events after the one of a number, oldest first. ``next_cursor`` is good for the next call, now or later."""
    wanted = select(OutgoingEvent.sequence, OutgoingEvent.body).where(
        OutgoingEvent.sequence > cursor, OutgoingEvent.endpoint_id.is_(None)
    )
    if account_id is not None:
        wanted = wanted.where(OutgoingEvent.account_id == account_id)
    if event_type is not None:
        wanted = wanted.where(OutgoingEvent.type == event_type)
    rows = db.session.execute(wanted.order_by(OutgoingEvent.sequence).limit(limit + 1)).all()
    page = rows[:limit]
    return EventPage(
        tuple(body for _, body in page if body), page[-1][0] if page else cursor, len(rows) > limit
    )

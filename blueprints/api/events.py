"""What happened, in published order: the same events that webhooks carry."""

import json
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import BeforeValidator, Field

from blueprints.api.answers import Answer, Time
from blueprints.api.calls import Asked, answered, call
from blueprints.api.fields import MAX_ID, PageSize, whole_number
from blueprints.api.schemas import OnAccount
from errors import NotFound
from services.accounts.callers import account_for
from services.events.kinds import EVENT_TYPES
from services.events.reading import events_after

Cursor = Annotated[int, BeforeValidator(whole_number), Field(ge=0, le=MAX_ID)]


class EventsQuery(OnAccount):
    cursor: Cursor = Field(0, description="The last answer's next_cursor; left out: from the beginning.")
    limit: PageSize = 50
    type: Literal[tuple(EVENT_TYPES)] | None = None  # type: ignore[valid-type]


class Event(Answer):
    id: str
    type: str
    sequence: int = Field(description="Place in the published order.")
    timestamp: Time
    account: str | None
    account_id: str | None
    external_id: str | None
    data: dict[str, Any]


class EventPages(Answer):
    limit: int
    has_more: bool
    next_cursor: int = Field(description="For the next call, now or later: never null.")


class Events(Answer):
    events: list[Event]
    pagination: EventPages


@call(
    "GET", "/api/events", "What happened, in published order", scope="read", platform_only=True,
    query=EventsQuery, answers={200: Events}, refusals=(NotFound,),
)  # fmt: skip
def list_events(asked: Asked) -> Response:
    query = asked.query
    page = events_after(
        query.cursor, limit=query.limit, event_type=query.type,
        account_id=account_for(asked.caller, query.account) if query.account else None,
    )  # fmt: skip
    return answered(
        {
            "events": [json.loads(body) for body in page.bodies],
            "pagination": {"limit": query.limit, "has_more": page.has_more, "next_cursor": page.next_cursor},
        }
    )

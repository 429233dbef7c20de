"""Writing an event down, in the unit of the fact that it tells. Source: docs/webhooks.md."""

import json
import secrets
from typing import Any

from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql, sqlite

from extensions import db
from models.outgoing import OutgoingEvent
from services.clock import business_now, to_microseconds
from services.events.kinds import EVENT_TYPES
from services.statements import Statement
from services.unit_of_work import atomic

_COLUMNS = ("public_id", "account_id", "type", "dedupe_key", "data", "created_at")
INSERT_EVENT = {
    dialect.__name__.rpartition(".")[2]: Statement(
        dialect.insert(OutgoingEvent.__table__)
        .values({name: bindparam(name) for name in _COLUMNS})
        .on_conflict_do_nothing(index_elements=["account_id", "dedupe_key"])
    )
    for dialect in (sqlite, postgresql)
}


@atomic
def publish(
    account_id: int, event_type: str, dedupe_key: str, data: dict[str, Any], *, happened_at: int | None = None
) -> None:
    """Write an event, in the caller's unit; once per key and account.

    ``data`` is what the API would answer: codes, public ids, numbers, ISO times; nothing personal.
    ``happened_at`` in microseconds; None: now.
    """
    assert event_type in EVENT_TYPES, event_type
    INSERT_EVENT[db.engine.dialect.name].defer(
        public_id=new_event_id(), account_id=account_id, type=event_type, dedupe_key=dedupe_key[:200],
        data=json.dumps(data, separators=(",", ":")),
        created_at=to_microseconds(business_now()) if happened_at is None else happened_at,
    )  # fmt: skip


def new_event_id() -> str:
    """What names an event outside, and in the header ``webhook-id``."""
    return f"evt_{secrets.token_hex(12)}"

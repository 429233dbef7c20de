"""The published order: each event gets its number and its body, and its deliveries are made.

Events are written in many units at once and become visible in no certain order. One publisher numbers those
it sees, one unit after another under a lock, so a cursor that has seen a number never misses a smaller one.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from extensions import db
from models.accounts import Account
from models.jobs import InstanceFact
from models.outgoing import Delivery, OutgoingEvent, WebhookEndpoint
from services.clock import iso, wall_now
from services.operations.facts import keep_fact
from services.unit_of_work import atomic

LAST_NUMBER = "events_published"
EVENTS_A_UNIT = 200


@dataclass(frozen=True, slots=True)
class _Listener:
    """An endpoint that is told of events: which account's, of which types."""

    id: int
    account_id: int | None
    types: frozenset[str]

    def wants(self, event: OutgoingEvent) -> bool:
        """Whether an event is for this endpoint."""
        if event.endpoint_id is not None:
            return event.endpoint_id == self.id
        is_theirs = self.account_id is None or self.account_id == event.account_id
        return is_theirs and (not self.types or event.type in self.types)


def number_events() -> int:
    """Number what waits and queue its deliveries; how many events. Idempotent."""
    keep_fact(LAST_NUMBER, "0")
    total = 0
    while True:
        done = _number_some()
        total += done
        if done < EVENTS_A_UNIT:
            return total


@atomic
def _number_some() -> int:
    # The lock first: what another publisher numbers meanwhile must not be seen as waiting.
    last = db.session.scalars(
        select(InstanceFact).where(InstanceFact.name == LAST_NUMBER).with_for_update()
    ).one()
    rows = list(
        db.session.scalars(
            select(OutgoingEvent)
            .where(OutgoingEvent.sequence.is_(None))
            .order_by(OutgoingEvent.id)
            .limit(EVENTS_A_UNIT)
            .execution_options(populate_existing=True)
        )
    )
    if rows:
        _publish_in_order(rows, int(last.value))
        last.value = str(int(last.value) + len(rows))
    return len(rows)


def _publish_in_order(rows: list[OutgoingEvent], last: int) -> None:
    now, listeners, accounts = wall_now(), _listeners(), _accounts(rows)
    for number, event in enumerate(rows, last + 1):
        event.sequence, event.published_at = number, now
        event.body = _body(event, number, accounts.get(event.account_id))
        db.session.add_all(_deliveries(event, listeners, now))


def _deliveries(event: OutgoingEvent, listeners: list[_Listener], now: datetime) -> Iterable[Delivery]:
    for listener in listeners:
        if listener.wants(event):
            yield Delivery(
                event_id=event.id,
                endpoint_id=listener.id,
                state="queued",
                created_at=now,
                next_attempt_at=now,
            )


def _listeners() -> list[_Listener]:
    rows = db.session.execute(
        select(WebhookEndpoint.id, WebhookEndpoint.account_id, WebhookEndpoint.types).where(
            WebhookEndpoint.is_enabled, WebhookEndpoint.removed_at.is_(None)
        )
    )
    return [
        _Listener(id, account_id, frozenset(filter(None, types.split(",")))) for id, account_id, types in rows
    ]


def _accounts(rows: list[OutgoingEvent]) -> dict[int | None, Any]:
    ids = {row.account_id for row in rows if row.account_id is not None}
    found = db.session.execute(
        select(Account.id, Account.public_id, Account.slug, Account.external_id).where(Account.id.in_(ids))
    )
    return {account.id: account for account in found}


def _body(event: OutgoingEvent, number: int, account: Any) -> str:
    """What is sent and what the API lists: the same bytes at every attempt."""
    return json.dumps(
        {
            "id": event.public_id,
            "type": event.type,
            "sequence": number,
            "timestamp": iso(event.created_at),
            "account": account.slug if account else None,
            "account_id": account.public_id if account else None,
            "external_id": account.external_id if account else None,
            "data": json.loads(event.data),
        },
        separators=(",", ":"),
    )

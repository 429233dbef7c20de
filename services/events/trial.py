"""A test event: to see that an endpoint takes what is sent, and checks it."""

import json

from errors import Conflict
from extensions import db
from models.outgoing import OutgoingEvent
from services.audit import record
from services.clock import business_now
from services.events.deliveries import Send, deliver_now
from services.events.delivery_log import delivery_of_event
from services.events.endpoints import locked_endpoint
from services.events.kinds import TEST_TYPE
from services.events.numbering import number_events
from services.events.publishing import new_event_id
from services.unit_of_work import atomic


def send_trial(endpoint: str, actor: str, send: Send) -> int:
    """Send a test event to one endpoint now; the delivery's number.

    Raises NotFound, Conflict where the endpoint is disabled.
    """
    event_id = _write(endpoint, actor)
    number_events()
    delivery_id = delivery_of_event(event_id)
    if delivery_id is None:
        raise Conflict("The endpoint was disabled meanwhile.")
    deliver_now(delivery_id, send)
    return delivery_id


@atomic
def _write(endpoint: str, actor: str) -> int:
    row = locked_endpoint(endpoint)
    if not row.is_enabled:
        raise Conflict("The endpoint is disabled; enable it first.")
    event = OutgoingEvent(
        public_id=new_event_id(), account_id=None, endpoint_id=row.id, type=TEST_TYPE,
        dedupe_key=new_event_id(), data=json.dumps({"message": "This is a test."}), created_at=business_now(),
    )  # fmt: skip
    db.session.add(event)
    db.session.flush()
    record("endpoint.tested", actor, row.account_id, endpoint=endpoint)
    return event.id

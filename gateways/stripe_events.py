"""Stripe's webhooks: whether a delivery is Stripe's, and what it says at first sight."""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import datetime

from errors import BadRequest, PaymentProviderUnavailable

TOLERANCE_SECONDS = 300
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_EVENT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_TYPE = re.compile(r"[A-Za-z0-9_.]{1,100}")


@dataclass(frozen=True, slots=True)
class EventFacts:
    """An event at first sight; the rest is read when it is processed."""

    id: str
    type: str
    object_id: str


def verified_event(body: bytes, header: str | None, secrets: tuple[str, ...], now: datetime) -> EventFacts:
    """The event of a delivery that one of the secrets has signed.

    Raises BadRequest for anything else, PaymentProviderUnavailable where no secret is set.
    """
    if not secrets:
        raise PaymentProviderUnavailable("No STRIPE_WEBHOOK_SECRET is set.", retry_after_seconds=60)
    _check_signature(body, header or "", secrets, now)
    return parse_event(body)


def _check_signature(body: bytes, header: str, secrets: tuple[str, ...], now: datetime) -> None:
    parts = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in parts if name == "t"]
    given = [value.encode(errors="replace") for name, _, value in parts if name == "v1"]
    if len(stamps) != 1 or not _TIMESTAMP.fullmatch(stamps[0]) or not given:
        raise BadRequest("The Stripe-Signature header is missing or malformed.")
    signed = stamps[0].encode() + b"." + body
    expected = [hmac.new(key.encode(), signed, hashlib.sha256).hexdigest().encode() for key in secrets]
    # Every pair is compared, so that the time taken tells nothing.
    matches = [hmac.compare_digest(one, other) for one in expected for other in given]
    if not any(matches):
        raise BadRequest("The signature does not match the body.")
    if abs(now.timestamp() - int(stamps[0])) > TOLERANCE_SECONDS:
        raise BadRequest("The signature is too old or lies in the future.")


def parse_event(body: bytes) -> EventFacts:
    """The facts of an event. Raises BadRequest where the body is none."""
    try:
        event = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadRequest("The body is no JSON.") from None
    if not isinstance(event, dict):
        raise BadRequest("The body is no event.")
    event_id, kind = event.get("id"), event.get("type")
    if not isinstance(event_id, str) or not _EVENT_ID.fullmatch(event_id):
        raise BadRequest("The event has no id.")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise BadRequest("The event has no type.")
    data = event.get("data")
    item = data.get("object") if isinstance(data, dict) else None
    object_id = item.get("id") if isinstance(item, dict) else None
    if not isinstance(object_id, str) or not _EVENT_ID.fullmatch(object_id):
        object_id = ""
    return EventFacts(event_id, kind, object_id)

"""The seller's own account, its balance, and the events about everything."""

from fnmatch import fnmatchcase

from sandbox.billing_clock import advance
from sandbox.lists import page
from sandbox.parameters import EXPAND, Shape, boolean, identifier, list_of, list_shape
from sandbox.problems import invalid
from sandbox.routing import Call, route
from sandbox.store import Object, Query

EVENTS_LIVE_SECONDS = 30 * 86_400


@route("GET", "/v1/account", Shape(expand=EXPAND))
def retrieve_account(call: Call) -> Object:
    return {
        "id": "acct_sandbox", "object": "account", "business_type": "company", "charges_enabled": True,
        "business_profile": {"name": call.store.seller, "mcc": None, "product_description": None,
                             "support_email": None, "support_phone": None, "support_url": None, "url": None},
        "country": "US", "created": 0, "default_currency": "usd", "details_submitted": True,
        "email": None, "payouts_enabled": True, "type": "standard", "metadata": {},
    }  # fmt: skip


@route("GET", "/v1/balance", Shape(expand=EXPAND))
def retrieve_balance(call: Call) -> Object:
    """What was taken, less what went back and what connected accounts got; Stripe's own fees aside."""
    rows = call.store.query(
        "SELECT json_extract(body, '$.currency'), sum(CASE kind "
        "WHEN 'charge' THEN json_extract(body, '$.amount_captured') - json_extract(body, '$.amount_refunded') "
        "WHEN 'transfer' THEN json_extract(body, '$.amount_reversed') - json_extract(body, '$.amount') "
        "ELSE json_extract(body, '$.amount') - json_extract(body, '$.amount_refunded') END) "
        "FROM objects WHERE kind IN ('application_fee', 'charge', 'transfer') GROUP BY 1 ORDER BY 1"
    )
    funds = [{"amount": amount, "currency": code, "source_types": {"card": amount}} for code, amount in rows]
    return {"object": "balance", "available": funds, "pending": [], "livemode": False}


@route("GET", "/v1/events/ID", Shape(expand=EXPAND))
def retrieve_event(call: Call) -> Object:
    return call.store.get("event", call.id)


@route("GET", "/v1/events", list_shape(type=identifier, types=list_of(identifier), delivery_success=boolean))
def list_events(call: Call) -> Object:
    """Events of the last 30 days; ``type`` may name a group with ``*``."""
    advance(call.store)
    given = call.given
    if "type" in given and "types" in given:
        raise invalid("You may only specify one of these parameters: type, types.", "type")
    query = Query().created({"gte": call.store.now() - EVENTS_LIVE_SECONDS})
    patterns = given.get("types") or ([given["type"]] if "type" in given else [])
    if patterns:
        known = [row[0] for row in call.store.query(
            "SELECT DISTINCT json_extract(body, '$.type') FROM objects WHERE kind = 'event'")]  # fmt: skip
        query = query.any_of("$.type", [k for k in known if any(fnmatchcase(k, p) for p in patterns)])
    if "delivery_success" in given:
        taken = "(SELECT event_id FROM deliveries WHERE state = 'taken')"
        query = query.also(f"id {'IN' if given['delivery_success'] else 'NOT IN'} {taken}")
    return page(call, "event", query=query)

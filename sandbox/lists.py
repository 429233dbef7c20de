"""Lists: newest first, filtered, a page at a time."""

from typing import Any

from sandbox.problems import missing
from sandbox.routing import Call
from sandbox.store import Object, Query

USUAL_LIMIT = 10


def page(call: Call, kind: str, *equal: str, query: Query | None = None) -> Object:
    """A list answer. ``equal``: parameters that are compared with the field of their name."""
    given, query = call.given, query or Query()
    for name in equal:
        if name in given:
            query = query.where(f"$.{name}", given[name])
    query = query.created(given.get("created") or {})
    number = None
    for param in ("starting_after", "ending_before"):
        if param in given:
            number = call.store.number_of(kind, given[param])
            if number is None:
                raise missing(kind, given[param], param)
    limit = given.get("limit", USUAL_LIMIT)
    backwards = "ending_before" in given and "starting_after" not in given
    items = call.store.select(kind, query, limit=limit + 1, beyond=number, backwards=backwards)
    chosen = items[:limit]
    if backwards:
        chosen.reverse()
    return {"object": "list", "data": chosen, "has_more": len(items) > limit, "url": call.path}


def paged(given: dict[str, Any], items: list[Object], url: str) -> Object:
    """One page of items that are in order already."""
    limit, ids = given.get("limit", USUAL_LIMIT), [item["id"] for item in items]
    if "ending_before" in given:
        end = _position(ids, given["ending_before"], "ending_before")
        chosen, has_more = items[max(end - limit, 0) : end], end > limit
    else:
        start = 0
        if "starting_after" in given:
            start = _position(ids, given["starting_after"], "starting_after") + 1
        chosen, has_more = items[start : start + limit], len(items) > start + limit
    return {"object": "list", "data": chosen, "has_more": has_more, "url": url}


def whole(items: list[Object], url: str) -> Object:
    """A list inside an object."""
    return {"object": "list", "data": items, "has_more": False, "url": url}


def _position(ids: list[str], wanted: str, param: str) -> int:
    if wanted not in ids:
        raise missing("object", wanted, param)
    return ids.index(wanted)

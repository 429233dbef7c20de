"""Which call does what: the table of routes, lists and expansion."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.parameters import Shape
from sandbox.problems import StripeProblem, invalid
from sandbox.store import Object, Store


@dataclass(slots=True)
class Call:
    """One API call: the store, its path and the id in it, its checked parameters."""

    store: Store
    id: str = ""
    path: str = ""
    given: dict[str, Any] = field(default_factory=dict)


Handler = Callable[[Call], Object]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and path with the shape of its parameters."""

    method: str
    pattern: re.Pattern[str]
    path: str
    shape: Shape
    handle: Handler


ROUTES: list[Route] = []


def route(method: str, path: str, shape: Shape) -> Callable[[Handler], Handler]:
    """Put a handler into the table; ``ID`` in the path is the object's id."""

    def register(handle: Handler) -> Handler:
        pattern = re.compile(re.escape(path).replace("ID", r"(?P<id>[^/]+)"))
        ROUTES.append(Route(method, pattern, path, shape, handle))
        return handle

    return register


def find_route(method: str, path: str) -> tuple[Route, str]:
    """The route of a call and the id in its path. Raises StripeProblem."""
    for candidate in ROUTES:
        matched = candidate.pattern.fullmatch(path)
        if matched and candidate.method == method:
            return candidate, matched.groupdict().get("id", "")
    message = f"Unrecognized request URL ({method}: {path})."
    raise StripeProblem(404, "invalid_request_error", message)


def page(call: Call, kind: str, keep: Callable[[Object], bool], *equal: str) -> Object:
    """A list answer: newest first, filtered, paged by id."""
    given = call.given
    created = given.get("created") or {}
    items = [
        item
        for item in call.store.all(kind)
        if keep(item)
        and all(name not in given or item.get(name) == given[name] for name in equal)
        and _within(item["created"], created)
    ]
    return paged(given, items, call)


def paged(given: dict[str, Any], items: list[Object], call: Call) -> Object:
    """One page of items that are in order."""
    limit = given.get("limit", 10)
    if limit > 100:
        raise invalid("Limit must be at most 100.", "limit", "parameter_invalid_integer")
    ids = [item["id"] for item in items]
    if "starting_after" in given:
        start = _position(ids, given["starting_after"], "starting_after") + 1
        chosen, has_more = items[start : start + limit], len(items) > start + limit
    elif "ending_before" in given:
        end = _position(ids, given["ending_before"], "ending_before")
        chosen, has_more = items[max(end - limit, 0) : end], end > limit
    else:
        chosen, has_more = items[:limit], len(items) > limit
    return {"object": "list", "data": chosen, "has_more": has_more, "url": call.path}


def _within(at: int, bounds: dict[str, int]) -> bool:
    return (
        at > bounds.get("gt", -1)
        and at >= bounds.get("gte", 0)
        and at < bounds.get("lt", 2**62)
        and at <= bounds.get("lte", 2**62)
    )


def _position(ids: list[str], wanted: str, param: str) -> int:
    if wanted not in ids:
        raise StripeProblem(
            404, "invalid_request_error", f"No such object: '{wanted}'", param=param, code="resource_missing"
        )
    return ids.index(wanted)


EXPANDABLE = {
    "customer": "customer", "payment_intent": "payment_intent", "latest_charge": "charge",
    "charge": "charge", "invoice": "invoice", "product": "product", "payment_method": "payment_method",
    "default_price": "price",
}  # fmt: skip
HIDDEN = {"line_items"}


def expanded(store: Store, item: Object, paths: list[str]) -> Object:
    """The answer with ids replaced by objects where asked; what only shows expanded left out otherwise."""
    for path in paths:
        _expand(store, item, path.split("."))
    return _without_hidden(item, paths)


def _expand(store: Store, item: Any, path: list[str]) -> None:
    name, *rest = path
    if isinstance(item, dict) and item.get("object") == "list" and name == "data":
        for entry in item["data"]:
            if rest:
                _expand(store, entry, rest)
        return
    if not isinstance(item, dict) or name not in item:
        raise invalid(f"This property cannot be expanded ({'.'.join(path)}).", "expand")
    if isinstance(item[name], str) and name in EXPANDABLE:
        item[name] = store.find(EXPANDABLE[name], item[name])
    if rest and item[name] is not None:
        _expand(store, item[name], rest)


def _without_hidden(item: Object, paths: list[str]) -> Object:
    asked = {path.split(".")[-1] for path in paths} | {part for path in paths for part in path.split(".")}
    if item.get("object") == "list":
        return item | {"data": [_without_hidden(entry, paths) for entry in item["data"]]}
    return {name: value for name, value in item.items() if name not in HIDDEN or name in asked}

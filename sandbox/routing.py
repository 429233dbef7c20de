"""Which call does what: the table of routes."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.parameters import Shape
from sandbox.problems import StripeProblem
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
    # A path of its own comes before one that would take its last part for an id.
    for candidate in sorted(ROUTES, key=lambda known: known.path != path):
        if candidate.method == method and (matched := candidate.pattern.fullmatch(path)):
            return candidate, matched.groupdict().get("id", "")
    message = f"Unrecognized request URL ({method}: {path})."
    raise StripeProblem(404, "invalid_request_error", message)

"""Refusals in Stripe's words: one exception, rendered as Stripe's error object."""

from typing import Any


class StripeProblem(Exception):
    """An error answer. ``has_effect``: what was written before it stays, as with a declined payment."""

    def __init__(self, status: int, type: str, message: str, *, has_effect: bool = False, **members: Any):
        super().__init__(message)
        self.status = status
        self.has_effect = has_effect
        self.body = {"error": {"type": type, "message": message, **members}}


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeProblem:
    """An ``invalid_request_error`` of status 400."""
    members = {name: value for name, value in (("param", param), ("code", code)) if value}
    return StripeProblem(400, "invalid_request_error", message, **members)


def missing(kind: str, object_id: str, param: str = "id") -> StripeProblem:
    """``resource_missing``, status 404."""
    return StripeProblem(
        404, "invalid_request_error", f"No such {kind}: '{object_id}'", param=param, code="resource_missing"
    )

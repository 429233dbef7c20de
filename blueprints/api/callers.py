"""Who is calling: an API key in the Authorization header, or a person's browser session."""

import functools
import math

from flask import current_app, request
from flask_login import current_user
from flask_wtf.csrf import validate_csrf
from limits import RateLimitItem, parse_many
from wtforms.validators import ValidationError

from errors import RateLimited, Unauthorized
from extensions import limiter
from services.accounts.api_keys import caller_of
from services.accounts.callers import Caller, person_calling
from services.clock import wall_now

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def identify() -> Caller:
    """The caller of this request. Raises Unauthorized."""
    header = request.headers.get("Authorization")
    if header is None:
        return _person()
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthorized("Send the API key as Authorization: Bearer cof_…")
    return caller_of(token.strip())


def _person() -> Caller:
    """A signed-in person. Without the CSRF token a cookie counts for nothing in an unsafe call."""
    if not request.cookies:
        raise Unauthorized("Send an API key as Authorization: Bearer cof_…")
    if request.method not in SAFE_METHODS:
        try:
            validate_csrf(request.headers.get("X-CSRFToken", ""))
        except ValidationError:
            raise Unauthorized("A browser's session needs the CSRF token in X-CSRFToken.") from None
    if not current_user.is_authenticated:
        raise Unauthorized("Sign in, or send an API key as Authorization: Bearer cof_…")
    return person_calling(current_user.user_id, is_operator=current_user.is_operator)


def limit_rate(caller: Caller) -> None:
    """Count the call against API_RATE_LIMIT. Raises RateLimited."""
    allowed = current_app.extensions["settings"].api_rate_limit
    if not allowed:
        return
    for limit in _limits(allowed):
        if not limiter.limiter.hit(limit, "api", caller.actor):
            frees_at = limiter.limiter.get_window_stats(limit, "api", caller.actor).reset_time
            seconds = math.ceil(frees_at - wall_now().timestamp())
            raise RateLimited(f"At most {limit} for each key.", retry_after_seconds=max(1, seconds))


@functools.cache
def _limits(allowed: str) -> tuple[RateLimitItem, ...]:
    return tuple(parse_many(allowed))

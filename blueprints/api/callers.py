"""Who is calling: an API key or a signed token in the Authorization header, or a person's session."""

import math

from flask import current_app, request
from flask_login import current_user
from flask_wtf.csrf import validate_csrf
from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from wtforms.validators import ValidationError

from errors import RateLimited, Unauthorized
from services.accounts.api_keys import PREFIX, caller_of
from services.accounts.callers import Caller, person_calling
from services.accounts.signed_tokens import caller_of_token
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
    return _bearer(token.strip())


def _bearer(token: str) -> Caller:
    """An API key, or a token that the team's own program has signed."""
    terms = current_app.extensions["token_terms"]
    if terms.is_set and not token.startswith(PREFIX):
        return caller_of_token(token, terms)
    return caller_of(token)


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


class CallLimiter:
    """Counts each key's calls against API_RATE_LIMIT, in this process's memory."""

    def __init__(self, allowed: str):
        self._limits = parse_many(allowed) if allowed else []
        self._counter = MovingWindowRateLimiter(MemoryStorage()) if allowed else None

    def count(self, actor: str) -> None:
        """Count one call. Raises RateLimited."""
        for limit in self._limits:
            assert self._counter is not None
            if not self._counter.hit(limit, actor):
                frees_at = self._counter.get_window_stats(limit, actor).reset_time
                seconds = math.ceil(frees_at - wall_now().timestamp())
                raise RateLimited(f"At most {limit} for each key.", retry_after_seconds=max(1, seconds))


def limit_rate(caller: Caller) -> None:
    """Count the call. Raises RateLimited."""
    current_app.extensions["api_limiter"].count(caller.actor)

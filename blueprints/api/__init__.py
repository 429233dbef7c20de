"""The JSON API: thin calls over the services, one registry that also describes them."""

from flask import Flask, Response
from werkzeug.routing import IntegerConverter

from blueprints.api import (
    accounts,
    credits,
    description,
    events,
    history,
    holds,
    overage,
    plans,
    purchases,
    usage,
    wallet,
)
from blueprints.api.callers import CallLimiter
from blueprints.api.calls import api
from blueprints.api.fields import MAX_ID
from extensions import csrf
from services.accounts.api_keys import record_uses

__all__ = [
    "accounts",
    "api",
    "credits",
    "description",
    "events",
    "history",
    "holds",
    "overage",
    "plans",
    "purchases",
    "register",
    "usage",
    "wallet",
]


class RowIdConverter(IntegerConverter):
    """The number of a row; larger ones name nothing."""

    def __init__(self, *arguments: object):
        super().__init__(*arguments, min=1, max=MAX_ID)


@api.after_request
def finish(response: Response) -> Response:
    """Record the key's use after the answer is made; no cache keeps an answer without being told."""
    record_uses()
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="coffer"'
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def register(app: Flask) -> None:
    """Put the API on the app. CSRF is checked where a browser's session is used, in ``callers``."""
    app.url_map.converters["rowid"] = RowIdConverter
    app.extensions["api_limiter"] = CallLimiter(app.extensions["settings"].api_rate_limit)
    csrf.exempt(api)
    app.register_blueprint(api)

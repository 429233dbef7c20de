"""Browsers of other origins that may call the API: those of CORS_ORIGINS, with a signed token, no cookies.

Source: docs/security.md, other origins.
"""

from flask import Flask, Response, request

from config import Settings

METHODS = "GET, POST, PATCH"
TAKEN_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-None-Match, X-Request-Id"
SHOWN_HEADERS = "ETag, Idempotent-Replayed, Retry-After, X-Request-Id"
PREFLIGHT_SECONDS = "600"
# Modules that a page of another origin loads; there is nothing in them that a stranger may not read.
OPEN_MODULES = ("/static/js/api-client", "/static/js/balance-widget")


def register(app: Flask) -> None:
    """Let the browsers of the allowed origins in. Without any, nothing changes."""
    settings: Settings = app.extensions["settings"]
    origins = frozenset(settings.cors_origins)

    @app.before_request
    def answer_preflight() -> Response | None:
        """A browser asks before it calls; the answer names what it may send."""
        if request.method != "OPTIONS" or not _is_allowed(origins):
            return None
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = TAKEN_HEADERS
        response.headers["Access-Control-Max-Age"] = PREFLIGHT_SECONDS
        return response

    @app.after_request
    def open_up(response: Response) -> Response:
        """Say which origin may read the answer."""
        if request.path.startswith(OPEN_MODULES):
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        elif origins and request.path.startswith("/api/"):
            response.vary.add("Origin")
            if _is_allowed(origins):
                response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
                response.headers["Access-Control-Expose-Headers"] = SHOWN_HEADERS
        return response


def _is_allowed(origins: frozenset[str]) -> bool:
    return request.path.startswith("/api/") and request.headers.get("Origin", "").lower() in origins

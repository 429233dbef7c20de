"""Errors as answers: which error an exception is, and the problem document of one (RFC 9457)."""

import json
import logging

from flask import Response, g, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

import errors
from errors import CofferError
from services.unit_of_work import translated

log = logging.getLogger("coffer.errors")

PROBLEM_PATHS = ("/api/", "/webhooks/", "/healthz", "/readyz", "/metrics")
_BY_STATUS: dict[int, type[CofferError]] = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.PayloadTooLarge,
    415: errors.UnsupportedMediaType,
    429: errors.RateLimited,
    503: errors.StorageUnavailable,
}
_DRIVERS = ("sqlite3", "pysqlite3", "psycopg", "psycopg_pool")


class InternalError(CofferError):
    """A bug; the log has the rest. Member: ``request_id``."""

    code, status, title = "internal_error", 500, "Something went wrong on our side"


class CsrfRefused(errors.BadRequest):
    """A form without its token, or with one of another session."""

    title = "This form is out of date"


def wants_problem() -> bool:
    """Whether the request is a program's, to be answered with a problem document."""
    return request.path == "/api" or request.path.startswith(PROBLEM_PATHS)


def error_of(exception: BaseException) -> CofferError:
    """The error that an exception stands for; an unknown one is logged with its traceback."""
    if isinstance(exception, CofferError):
        return exception
    if isinstance(exception, CSRFError):
        return CsrfRefused(
            "The page was open for too long, or cookies are blocked. Go back, reload it and try again."
        )
    if isinstance(exception, HTTPException) and exception.code != 500:
        return _of_http(exception)
    if isinstance(exception, PoolTimeout):
        return errors.StorageUnavailable(retry_after_seconds=2)
    if isinstance(exception, DBAPIError) or type(exception).__module__.split(".")[0] in _DRIVERS:
        told = translated(exception)
        if isinstance(told, CofferError):
            log.warning("The database does not answer: %s", type(exception).__name__)
            return told
    log.error("Unexpected error on %s %s", request.method, request.path, exc_info=exception)
    return InternalError(request_id=g.get("request_id", ""))


def _of_http(exception: HTTPException) -> CofferError:
    status = exception.code or 500
    kind = _BY_STATUS.get(status)
    if kind is None:
        error = CofferError(exception.description or exception.name)
        error.code, error.status, error.title = "http_error", status, exception.name
        return error
    retry_after = getattr(exception, "retry_after", None)
    seconds = retry_after if isinstance(retry_after, int) else None
    if kind is errors.RateLimited:
        return errors.RateLimited(retry_after_seconds=seconds or 60)
    return kind(retry_after_seconds=seconds)


def headers_of(error: CofferError) -> dict[str, str]:
    """The headers that go with an error."""
    if error.retry_after_seconds is None:
        return {}
    return {"Retry-After": str(max(1, error.retry_after_seconds))}


def problem_response(error: CofferError) -> Response:
    """The problem document of an error, with its status and headers."""
    response = Response(
        json.dumps(error.problem()),
        error.status,
        headers_of(error),
        content_type="application/problem+json",
    )
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="coffer"'
    return response

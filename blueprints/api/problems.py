"""Everything that goes wrong under /api, as problem+json (RFC 9457)."""

import json

from flask import Blueprint, Response, request
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

import errors
from errors import CofferError
from services.unit_of_work import translated

PROBLEM = "application/problem+json"
_BY_STATUS = {
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.PayloadTooLarge,
    415: errors.UnsupportedMediaType,
    429: errors.RateLimited,
}


def problem_response(error: CofferError) -> Response:
    """The answer that says what went wrong."""
    response = Response(json.dumps(error.problem()), error.status, content_type=PROBLEM)
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="coffer"'
    return response


def of_http(error: HTTPException) -> Response:
    """What the framework refuses by itself, in our form, its headers (Allow) kept."""
    kind = _BY_STATUS.get(error.code or 500, errors.BadRequest if (error.code or 500) < 500 else CofferError)
    response = problem_response(kind())
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def of_database(error: DBAPIError) -> Response:
    """A read that the database cannot take now is a 503; anything else is a bug."""
    found = translated(error)
    if not isinstance(found, CofferError):
        raise found
    return problem_response(found)


def refuse_unrouted() -> Response | None:
    """Unknown paths and wrong methods under /api, which no blueprint sees."""
    found = request.routing_exception
    if found is None or not request.path.startswith("/api/"):
        return None
    return of_http(found) if (found.code or 500) >= 400 else problem_response(errors.NotFound())


def register(api: Blueprint) -> None:
    """Put the handlers on the blueprint."""
    api.register_error_handler(CofferError, problem_response)
    api.register_error_handler(HTTPException, of_http)
    api.register_error_handler(DBAPIError, of_database)
    api.before_app_request(refuse_unrouted)

"""Every error ends here: a page for people, a problem document for programs, a stack trace for nobody."""

from flask import Flask, Response, g, make_response, render_template
from flask_babel import gettext as _
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response as AnyResponse

from blueprints.problems import error_of, headers_of, problem_response, wants_problem
from errors import CofferError
from services.accounts.tokens import LinkNotValid


def register(app: Flask) -> None:
    """Answer every exception of the app."""
    app.register_error_handler(Exception, answer)


def answer(exception: Exception) -> AnyResponse:
    """The answer to an exception."""
    if isinstance(exception, HTTPException) and (exception.response or (exception.code or 500) < 400):
        return exception.get_response()
    error = error_of(exception)
    response = problem_response(error) if wants_problem() else _page(error)
    if isinstance(exception, MethodNotAllowed) and exception.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(exception.valid_methods))
    return response


def _page(error: CofferError) -> Response:
    # No form's token on an error page: it would tell apart two answers that must be the same.
    g.csrf_token = ""
    is_told = isinstance(error, LinkNotValid) or (
        error.status < 500 and error.status != 404 and error.detail != error.title
    )
    page = render_template(
        "errors/error.html",
        status=error.status,
        detail=_(error.detail) if is_told else "",
        reference=error.members.get("request_id", ""),
    )
    response = make_response(page, error.status)
    response.headers.update(headers_of(error))
    return response

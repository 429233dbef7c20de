"""A random token in each form that begins something, so that one form begins it once."""

import re
import secrets
from collections.abc import Callable
from typing import Any

from flask import request

from errors import InvalidRequest
from services.idempotency import Answer, Key, fingerprint_of, run_once

FIELD = "form_token"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}")
_NOT_CONTENT = ("csrf_token", FIELD)


def new_form_token() -> str:
    """144 random bits, safe in a form field."""
    return secrets.token_urlsafe(18)


def once_per_form(scope: int, operation: Callable[[], tuple[int, Any]]) -> Answer:
    """Run an operation once for the form that was sent; sending it again finds the first answer.

    ``scope`` is the id of the account acted on, 0 for the instance. Raises what the operation raises and
    is not kept, IdempotencyKeyReused where the form was sent already with other values, InvalidRequest.
    """
    token = request.form.get(FIELD, "")
    if not _TOKEN.fullmatch(token):
        raise InvalidRequest.of(FIELD, "The form is out of date; please send it again.")
    content = {name: values for name, values in request.form.lists() if name not in _NOT_CONTENT}
    return run_once(Key(scope, f"form:{token}", fingerprint_of("POST", request.path, content)), operation)

"""The one registry of API calls: how each is reached, who may, what it takes and gives.

``@call`` makes a view of a function and keeps its description, from which the OpenAPI document and the
docs page are made. See docs/decisions for why this is not a library's.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request
from pydantic import BaseModel, ValidationError

from blueprints.access import declare
from blueprints.api.callers import identify, limit_rate
from blueprints.api.strict_json import parse_object, text_problem
from errors import CofferError, FieldError, Forbidden, InvalidRequest, MalformedJson, UnsupportedMediaType
from services import idempotency
from services.accounts.callers import Caller, account_for
from services.idempotency import (
    Answer,
    find_answer,
    fingerprint_of,
    is_kept,
    keep_answer,
    run_once,
)

api = Blueprint("api", __name__)
JSON = "application/json"
PROBLEM = "application/problem+json"
ALIASES = {
    "userId": "account",
    "priceId": "price_id",
    "taskId": "task_id",
    "paymentMethod": "payment_method",
    "paymentIntentId": "payment_intent_id",
}
INSTANCE = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the API. ``answers`` are models by status; ``refusals`` are errors beyond the usual."""

    method: str
    path: str
    name: str
    summary: str
    scope: str
    answers: dict[int, type[BaseModel]]
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    refusals: tuple[type[CofferError], ...] = ()
    platform_only: bool = False
    platform_scope: str | None = None
    person_may: bool = False
    body_may_be_empty: bool = False
    writes: bool = True

    @property
    def takes_key(self) -> bool:
        """Whether it takes an Idempotency-Key."""
        return self.method == "POST"


CALLS: list[Call] = []


class Asked:
    """One request, read and checked: what a view needs of it."""

    __slots__ = ("body", "call", "caller", "named", "query", "raw")

    def __init__(self, call: Call, caller: Caller, raw: dict[str, Any]):
        self.call, self.caller, self.raw = call, caller, raw
        arguments = _arguments(call.query)
        self.named = _agreed(raw.get("account"), arguments.get("account"))
        if self.named is not None:
            raw, arguments = raw | {"account": self.named}, arguments | {"account": self.named}
        self.body: Any = _checked(call.body, raw) if call.body else None
        self.query: Any = _checked(call.query, arguments) if call.query else None

    @property
    def account_id(self) -> int:
        """The account that the call is about. Raises NotFound, InvalidRequest where it must be named."""
        return account_for(self.caller, self.named)

    def once(self, scope: int, operation: Callable[[], tuple[int, Any]]) -> Response:
        """Run an operation under the caller's key, and answer; a replay is answered as the first time."""
        key = self.key(scope)
        if key is None and not self.call.writes:
            status, value = operation()
            return answered(value, status)
        return kept_answer(run_once(key, operation))

    def once_with_calls_outside(
        self, key: idempotency.Key | None, operation: Callable[[], tuple[int, Any]]
    ) -> Response:
        """Run an operation that calls the payment provider, which no unit of work may hold open.

        The operation itself is one for one key; here its answer is kept, and given again.
        """
        if key is None:
            status, value = operation()
            return answered(value, status)
        known = find_answer(key)
        if known is not None:
            return kept_answer(known)
        try:
            status, value = operation()
        except CofferError as refusal:
            if not is_kept(refusal):
                raise
            return kept_answer(keep_answer(key, refusal.status, refusal.problem()))
        return kept_answer(keep_answer(key, status, value))

    def key(self, scope: int) -> idempotency.Key | None:
        """The caller's idempotency key, if any. Raises InvalidRequest."""
        header = request.headers.get("Idempotency-Key")
        if header is None:
            return None
        if not 1 <= len(header) <= 255 or not all(" " <= character <= "~" for character in header):
            raise InvalidRequest.of("Idempotency-Key", "must be 1 to 255 printable ASCII characters")
        return idempotency.Key(scope, header, fingerprint_of(self.call.method, request.path, self.raw))


def call(method: str, path: str, summary: str, *, scope: str, **described: Any) -> Callable[[Any], Any]:
    """Register a call; the function gets an ``Asked`` and the path's values, and returns the response."""

    def register(view: Callable[..., Response]) -> Callable[..., Response]:
        name = view.__name__
        known = Call(method=method, path=path, name=name, summary=summary, scope=scope, **described)
        CALLS.append(known)

        def serve(**of_path: Any) -> Response:
            caller = identify()
            limit_rate(caller)
            _require_scope(known, caller)
            return view(Asked(known, caller, _read_body(known)), **of_path)

        serve.__doc__ = view.__doc__
        declare(serve, f"api:{scope}")
        api.add_url_rule(path, name, serve, methods=[method])
        return view

    return register


def answered(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(json.dumps(value), status, content_type=JSON)


def kept_answer(answer: Answer) -> Response:
    """The answer of an operation that ran under a key; refusals are kept too."""
    response = Response(answer.body, answer.status, content_type=JSON if answer.status < 400 else PROBLEM)
    if answer.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _require_scope(known: Call, caller: Caller) -> None:
    if caller.is_person and known.scope != "read" and not known.person_may:
        raise Forbidden("This call is for programs: send an API key.")
    if known.platform_only and not caller.is_platform:
        raise Forbidden("This call needs a platform key.")
    if known.scope in caller.scopes or (caller.is_person and known.person_may):
        return
    if caller.is_platform and known.platform_scope in caller.scopes:
        return
    raise Forbidden(f"The key does not have the scope {known.scope}.", scope=known.scope)


def _read_body(known: Call) -> dict[str, Any]:
    if known.body is None:
        return {}
    if request.content_type != JSON and request.mimetype != JSON:
        if known.body_may_be_empty and not request.get_data():
            return {}
        raise UnsupportedMediaType()
    raw = request.get_data()
    if not raw.strip():
        if known.body_may_be_empty:
            return {}
        raise MalformedJson("The body is empty; a JSON object is expected.")
    return _renamed(known.body, parse_object(raw))


def _arguments(model: type[BaseModel] | None) -> dict[str, Any]:
    """The query, first value of each name, other spellings renamed."""
    arguments: dict[str, Any] = request.args.to_dict() if request.query_string else {}
    for name, value in arguments.items():
        if problem := text_problem(value):
            raise InvalidRequest.of(name, problem)
    return _renamed(model, arguments) if arguments else arguments


def _renamed(model: type[BaseModel] | None, values: dict[str, Any]) -> dict[str, Any]:
    """Other spellings that the contract knows, in the contract's own."""
    spellings = ALIASES
    if model is not None and "credit_type" in model.model_fields and "type" not in model.model_fields:
        spellings = ALIASES | {"type": "credit_type"}
    for spelling in spellings.keys() & values.keys():
        name = spellings[spelling]
        values[name] = _agreed(values.pop(spelling), values.get(name), name)
    return values


def _agreed(value: Any, other: Any, name: str = "account") -> Any:
    if value is not None and other is not None and value != other:
        raise InvalidRequest.of(name, "is given twice, and differently")
    return other if value is None else value


def _checked(model: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest(*(_field_error(e) for e in error.errors(include_url=False))) from None


def _field_error(found: Any) -> FieldError:
    message = "is required" if found["type"] == "missing" else found["msg"].removeprefix("Value error, ")
    if message.startswith("Input should be"):
        message = "must be" + message.removeprefix("Input should be")
    return FieldError(".".join(str(part) for part in found["loc"]) or "body", message)

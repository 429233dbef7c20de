"""The OpenAPI 3.1 description, made from the registry of calls and the models they name."""

import re
from collections import defaultdict
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import errors
from blueprints.api.calls import CALLS, Call
from blueprints.api.codes import error_codes
from errors import CofferError

REFERENCE = "#/components/schemas/{model}"
_PLACE = re.compile(r"<(\w+):(\w+)>")
_PLACE_SCHEMAS = {
    "string": {"type": "string", "minLength": 1},
    "rowid": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
    "path": {"type": "string", "minLength": 1, "maxLength": 255},
}
EVERYWHERE = (errors.Unauthorized, errors.Forbidden, errors.RateLimited, errors.StorageUnavailable)
WITH_FIELDS = (errors.InvalidRequest,)
WITH_BODY = (errors.MalformedJson, errors.BadRequest, errors.PayloadTooLarge, errors.UnsupportedMediaType)
WITH_KEY = (errors.IdempotencyKeyReused, errors.Conflict)


def openapi(version: str, base_url: str) -> dict[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Coffer",
            "version": version,
            "description": "Credits of customers: balances, spends, holds, purchases and their history. "
            "Field names are snake_case, in and out. Amounts are JSON numbers, times ISO 8601 in UTC.",
        },
        "servers": [{"url": base_url}],
        "security": [{"apiKey": []}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas() | {"Problem": _problem()},
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "cof_…, from `keys create`."},
                "browser": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "coffer",
                    "description": "The app's own pages. Unsafe methods need the CSRF token in X-CSRFToken.",
                },
            },
        },
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = defaultdict(dict)
    for call in CALLS:
        paths[_PLACE.sub(r"{\2}", call.path)][call.method.lower()] = _operation(call)
    return dict(paths)


def _operation(call: Call) -> dict[str, Any]:
    who = "platform keys" if call.platform_only else "keys"
    operation: dict[str, Any] = {
        "operationId": call.name,
        "summary": call.summary,
        "description": f"For {who} with the scope `{call.scope}`.",
        "tags": [call.path.split("/")[2]],
        "parameters": [*_places(call), *_query(call), *_headers(call)],
        "responses": _responses(call),
    }
    if call.scope == "read" or call.person_may:
        operation["security"] = [{"apiKey": []}, {"browser": []}]
    if call.body:
        operation["requestBody"] = {
            "required": not call.body_may_be_empty,
            "content": {
                "application/json": {"schema": _reference(call.body), "example": example_of(call.body)}
            },
        }
    return operation


def example_of(model: type[BaseModel]) -> dict[str, Any]:
    """A body made of the fields that carry an example."""
    fields = model.model_fields.items()
    return {field.alias or name: field.examples[0] for name, field in fields if field.examples}


def _places(call: Call) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _PLACE_SCHEMAS[kind]}
        for kind, name in _PLACE.findall(call.path)
    ]


def _query(call: Call) -> list[dict[str, Any]]:
    if call.query is None:
        return []
    properties = call.query.model_json_schema(ref_template=REFERENCE)["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema.get("description", ""),
            "schema": _without_null({k: v for k, v in schema.items() if k not in ("description", "title")}),
        }
        for name, schema in properties.items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query cannot say null: what may be left out is simply not required."""
    choices = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    if len(choices) == 1:
        schema = {k: v for k, v in schema.items() if k not in ("anyOf", "default")} | choices[0]
    return schema


def _headers(call: Call) -> list[dict[str, Any]]:
    if not call.takes_key:
        return []
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "One key, one effect: the same request again gets the first answer. Kept 30 days.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
        }
    ]


def refusals_of(call: Call) -> dict[int, list[str]]:
    """The error codes that a call may answer with, by status."""
    kinds: set[type[CofferError]] = {*EVERYWHERE, *WITH_FIELDS, *call.refusals}
    if call.body:
        kinds.update(WITH_BODY)
    if call.takes_key:
        kinds.update(WITH_KEY)
    codes: dict[int, list[str]] = defaultdict(list)
    for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code)):
        codes[kind.status].append(kind.code)
    return dict(codes)


def _responses(call: Call) -> dict[str, Any]:
    replayed = {"Idempotent-Replayed": {"schema": {"const": "true"}, "description": "On a replay."}}
    responses: dict[str, Any] = {
        str(status): {
            "description": "Done",
            "content": {"application/json": {"schema": _reference(model)}},
            **({"headers": replayed} if call.takes_key else {}),
        }
        for status, model in call.answers.items()
    }
    if call.name == "balance":
        responses["304"] = {"description": "Unchanged since the ETag in If-None-Match"}
    for status, codes in refusals_of(call).items():
        problem = {
            "allOf": [{"$ref": REFERENCE.format(model="Problem")}, {"properties": {"code": {"enum": codes}}}]
        }
        responses[str(status)] = {
            "description": " or ".join(codes),
            "content": {"application/problem+json": {"schema": problem}},
        }
    return responses


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def _schemas() -> dict[str, Any]:
    bodies = {call.body for call in CALLS if call.body}
    given = {model for call in CALLS for model in call.answers.values()}
    _, definitions = models_json_schema(
        [
            *((model, "validation") for model in sorted(bodies, key=lambda m: m.__name__)),
            *((model, "serialization") for model in sorted(given, key=lambda m: m.__name__)),
        ],
        ref_template=REFERENCE,
    )
    return definitions["$defs"]


def _problem() -> dict[str, Any]:
    field_error = {
        "type": "object",
        "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
        "required": ["field", "message"],
    }
    return {
        "type": "object",
        "description": "RFC 9457. The code says what went wrong; further members depend on it.",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "enum": [each.code for each in error_codes()]},
            "errors": {"type": "array", "items": field_error},
            "required": {"type": "number"},
            "available": {"type": "number"},
            "credit_type": {"type": "string"},
            "refundable": {"type": "number"},
            "hold_status": {"type": "string"},
            "field": {"type": "string"},
            "scope": {"type": "string"},
        },
    }

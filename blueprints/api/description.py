"""The API described: for programs as OpenAPI 3.1, for people as a page of the same facts."""

import json
import re
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, render_template

from blueprints.access import public
from blueprints.api.calls import CALLS, JSON, Call, api
from blueprints.api.codes import error_codes
from blueprints.api.openapi import example_of, openapi, refusals_of

VERSION = "1"


@dataclass(frozen=True, slots=True)
class FieldNote:
    """One field of a request, as the page shows it."""

    name: str
    kind: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class CallNote:
    """One call, as the page shows it."""

    call: Call
    path: str
    fields: list[FieldNote]
    example: str
    answers: list[tuple[int, list[str]]]
    codes: list[tuple[int, list[str]]]


@api.get("/api/openapi.json")
@public
def openapi_document() -> Response:
    body = json.dumps(openapi(VERSION, current_app.extensions["settings"].base_url))
    return Response(body, content_type=JSON, headers={"Cache-Control": "no-cache"})


@api.get("/api/docs")
@public
def docs_page() -> str:
    return render_template("api/docs.html", calls=_call_notes(), codes=error_codes())


def _call_notes() -> list[CallNote]:
    document = openapi(VERSION, "")
    schemas = document["components"]["schemas"]
    notes = []
    for call in CALLS:
        path = re.sub(r"<(?:rowid|string):\w+>", "ID", call.path).replace("<path:name>", "NAME")
        example = json.dumps(example_of(call.body)) if call.body and example_of(call.body) else ""
        answers = [
            (status, _members(schemas[model.__name__], schemas)) for status, model in call.answers.items()
        ]
        notes.append(
            CallNote(call, path, _fields(call, schemas), example, answers, list(refusals_of(call).items()))
        )
    return notes


def _members(schema: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    """The members of an answer; of one that may take several forms, those of each."""
    if "properties" in schema:
        return list(schema["properties"])
    forms = [schemas[form["$ref"].rpartition("/")[2]] for form in schema["anyOf"]]
    return list(dict.fromkeys(name for form in forms for name in form["properties"]))


def _fields(call: Call, schemas: dict[str, Any]) -> list[FieldNote]:
    if call.body:
        schema = schemas[call.body.__name__]
    elif call.query:
        schema = call.query.model_json_schema()
    else:
        return []
    required = schema.get("required", [])
    return [
        FieldNote(name, _kind(field), name in required, field.get("description", ""))
        for name, field in schema["properties"].items()
    ]


def _kind(field: dict[str, Any]) -> str:
    choices = [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]
    words = []
    for choice in choices:
        if "anyOf" in choice:
            words.append(_kind(choice))
        elif "enum" in choice:
            words.append(", ".join(map(str, choice["enum"])))
        else:
            words.append(
                {"date-time": "time"}.get(choice.get("format", ""), str(choice.get("type", "value")))
            )
    return " or ".join(dict.fromkeys(words))

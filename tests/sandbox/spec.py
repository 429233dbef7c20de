"""Hold requests and answers against a description of Stripe's API (OpenAPI), where one is at hand.

For the sandbox's answers and shapes, and for what Coffer itself sends: ``problems_of_request`` takes a call as
``SandboxServer.api.calls`` remembers it.
"""

import functools
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sandbox import parameters
from sandbox.parameters import ListOf, OneOf, Shape

ROOT = Path(__file__).resolve().parents[2]
PATH = Path(os.environ.get("COFFER_STRIPE_SPEC", ROOT.parent / "shared" / "stripe" / "spec3.json"))
# What calls answer and no payment intent ever carries.
CODES_OF_CALLS = ("insufficient_capabilities_for_transfer",)
SCALARS = {
    "integer": re.compile(r"-?\d+"),
    "number": re.compile(r"-?\d+(\.\d+)?"),
    "boolean": re.compile(r"true|false"),
}


def is_at_hand() -> bool:
    """Whether there is a description to hold anything against."""
    return PATH.exists()


@functools.cache
def spec() -> dict[str, Any]:
    """The description; the test skips where it is not there."""
    if not is_at_hand():
        pytest.skip(f"spec3.json, the description of Stripe's API, is not at {PATH}")
    return json.loads(PATH.read_text())


@functools.cache
def _definitions() -> dict[str, Any]:
    return {name: _json_schema(schema) for name, schema in spec()["components"]["schemas"].items()}


def _json_schema(node: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: ``nullable`` becomes a type of its own; objects have no other fields."""
    if isinstance(node, list):
        return [_json_schema(part) for part in node]
    if not isinstance(node, dict):
        return node
    result = {key: _json_schema(value) for key, value in node.items() if key != "nullable"}
    if result.get("additionalProperties") == {"type": "object"}:  # how the description writes "anything"
        del result["additionalProperties"]
    if isinstance(result.get("properties"), dict) and result.get("type") == "object":
        result.setdefault("additionalProperties", False)
    if isinstance(result.get("$ref"), str):
        result["$ref"] = result["$ref"].replace("#/components/schemas/", "#/$defs/")
    return {"anyOf": [result, {"type": "null"}]} if node.get("nullable") is True else result


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(_json_schema(json.loads(schema)) | {"$defs": _definitions()})


def _problems(schema: dict[str, Any], answer: Any) -> list[str]:
    found = []
    for error in _validator(json.dumps(schema)).iter_errors(answer):
        while error.context:  # of the alternatives that fail, the one that came furthest
            error = max(error.context, key=lambda inner: len(inner.absolute_path))
        found.append(f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}")
    return found


def problems_of_answer(kind: str, answer: dict[str, Any]) -> list[str]:
    """What is wrong with an object of a kind by the description; empty where nothing is."""
    if answer.get("deleted") is True:
        known = spec()["components"]["schemas"][kind]["properties"]
        return [f"unknown field {name}" for name in answer if name not in known]
    return _problems({"$ref": f"#/components/schemas/{kind}"}, answer)


def problems_of_response(method: str, path: str, status: int, body: dict[str, Any]) -> list[str]:
    """What is wrong with the answer to a call; empty where nothing is."""
    if status != 200:
        return _problems_of_error(body)
    operation = _operation(method, path)
    if operation is None:
        return [f"{method} {path} is no call of Stripe's"]
    if body.get("deleted") is True:
        return problems_of_answer(body["object"], body)
    if body["object"] == "search_result":  # the description takes it for a list; the library does not
        body = {name: value for name, value in body.items() if name != "next_page"} | {"object": "list"}
    return _problems(operation["responses"]["200"]["content"]["application/json"]["schema"], body)


def _problems_of_error(body: dict[str, Any]) -> list[str]:
    """An error's members and code, as payment intents describe their last one."""
    described = spec()["components"]["schemas"]["payment_intent"]["properties"]["last_payment_error"]
    error, known = body["error"], set(described["properties"]) | {"payment_intent"}
    found = [f"unknown member {name} of an error" for name in error if name not in known]
    codes = {*described["properties"]["code"]["enum"], *CODES_OF_CALLS}
    if "code" in error and error["code"] not in codes:
        found.append(f"{error['code']} is no code of Stripe's")
    types = {"api_error", "card_error", "idempotency_error", "invalid_request_error"}
    return found if error["type"] in types else [*found, f"{error['type']} is no type of error"]


def _operation(method: str, path: str) -> dict[str, Any] | None:
    parts = path.split("/")
    fitting = [
        template
        for template in spec()["paths"]
        if len(template.split("/")) == len(parts)
        and all(
            part.startswith("{") or part == actual
            for part, actual in zip(template.split("/"), parts, strict=True)
        )
    ]
    exact = sorted(fitting, key=lambda template: template.count("{"))
    return next((item for t in exact if (item := spec()["paths"][t].get(method.lower()))), None)


def _described(method: str, path: str) -> dict[str, Any] | None:
    """The parameters of a call as one object's schema."""
    operation = _operation(method, path)
    if operation is None:
        return None
    for media in operation.get("requestBody", {}).get("content", {}).values():
        return media["schema"]
    entries = [entry for entry in operation.get("parameters", []) if entry.get("in") != "path"]
    return {"type": "object", "properties": {entry["name"]: entry.get("schema", {}) for entry in entries}}


def problems_of_request(method: str, path: str, given: dict[str, Any]) -> list[str]:
    """What a call sends that the description does not know, or sends wrongly; empty where all is well.

    ``given``: the parameters as decoded from a form, so every value is text.
    """
    schema = _described(method, path)
    if schema is None:
        return [f"{method} {path} is no call of Stripe's"]
    return _wrong(given, schema, "")


def _wrong(value: Any, schema: dict[str, Any], name: str) -> list[str]:
    """What is wrong with a decoded parameter."""
    if "anyOf" in schema:
        return min((_wrong(value, option, name) for option in schema["anyOf"]), key=len)
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{name}: {value!r} is not one of {schema['enum'][:9]}"]
    match schema.get("type"):
        case "object":
            return _wrong_object(value, schema, name)
        case "array":
            items = value if isinstance(value, list) else None
            if items is None:
                return [f"{name} is no list"]
            return [
                part for i, item in enumerate(items) for part in _wrong(item, schema["items"], f"{name}[{i}]")
            ]
        case "integer" | "number" | "boolean" as kind:
            fits = isinstance(value, str) and SCALARS[kind].fullmatch(value)
            return [] if fits else [f"{name}: {value!r} is no {kind}"]
        case "string":
            return [] if isinstance(value, str) else [f"{name} is no text"]
    return []


def _wrong_object(value: Any, schema: dict[str, Any], name: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{name} is no object"]
    properties = schema.get("properties")
    if properties is None:
        return [f"{name}[{key}] is no text" for key, text in value.items() if not isinstance(text, str)]
    found = [f"{name} lacks {key}" for key in schema.get("required", []) if key not in value]
    for key, part in value.items():
        inner = f"{name}[{key}]" if name else key
        found += _wrong(part, properties[key], inner) if key in properties else [f"unknown parameter {inner}"]
    return found


def problems_of_shape(method: str, path: str, shape: Shape, refused_here: set[str]) -> list[str]:
    """Where the sandbox would take what the description does not know; empty where it is as strict."""
    schema = _described(method, path)
    if schema is None:
        return [f"{method} {path} is no call of Stripe's"]
    known = Shape(
        shape.required, **{name: check for name, check in shape.fields.items() if name not in refused_here}
    )
    return _looser(known, schema, "")


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return (
        [leaf for option in schema["anyOf"] for leaf in _options(option)] if "anyOf" in schema else [schema]
    )


def _looser(check: Any, schema: dict[str, Any], name: str) -> list[str]:
    options = _options(schema)
    types = {option.get("type") for option in options if "enum" not in option}
    if isinstance(check, Shape):
        fitting = [option for option in options if option.get("type") == "object"]
        return _looser_shape(check, fitting[0], name) if fitting else [f"{name} is no object"]
    if isinstance(check, ListOf):
        fitting = [option for option in options if option.get("type") == "array"]
        return _looser(check.item, fitting[0]["items"], f"{name}[]") if fitting else [f"{name} is no list"]
    if isinstance(check, OneOf):
        words = {word for option in options for word in option.get("enum", [])}
        return [f"{name} may not be {word!r}" for word in check.allowed if words and word not in words]
    if check in (parameters.metadata, parameters.created_filter):
        return [] if "object" in types else [f"{name} is no object"]
    if check is parameters.number:
        return [] if "number" in types else [f"{name} is no number but {types}"]
    numbers = (parameters.integer, parameters.positive, parameters.not_negative, parameters.page_limit)
    wanted = "integer" if check in numbers else "boolean" if check is parameters.boolean else "string"
    return [] if wanted in types else [f"{name} is no {wanted} but {types}"]


def _looser_shape(shape: Shape, schema: dict[str, Any], name: str) -> list[str]:
    properties = schema.get("properties", {})
    found = [
        f"{name}[{key}] need not be given" for key in schema.get("required", []) if key not in shape.required
    ]
    for key, check in shape.fields.items():
        inner = f"{name}[{key}]" if name else key
        if key in properties:
            found += _looser(check, properties[key], inner)
        else:
            found.append(f"unknown parameter {inner}")
    return found

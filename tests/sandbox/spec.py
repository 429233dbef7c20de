"""Hold requests and answers against a description of Stripe's API (OpenAPI), where one is at hand."""

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
PATH = Path(os.environ.get("COFFER_STRIPE_SPEC", ROOT.parent / "shared" / "stripe" / "spec3.json"))


@functools.cache
def spec() -> dict[str, Any]:
    """The description; the test skips where it is not there."""
    if not PATH.exists():
        pytest.skip(f"spec3.json, the description of Stripe's API, is not at {PATH}")
    return json.loads(PATH.read_text())


@functools.cache
def _schemas() -> dict[str, Any]:
    return {name: _json_schema(schema) for name, schema in spec()["components"]["schemas"].items()}


def _json_schema(node: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: ``nullable`` becomes a type of its own, references move."""
    if isinstance(node, list):
        return [_json_schema(part) for part in node]
    if not isinstance(node, dict):
        return node
    result = {key: _json_schema(value) for key, value in node.items() if key != "nullable"}
    if "$ref" in result:
        result["$ref"] = result["$ref"].replace("#/components/schemas/", "#/$defs/")
    return {"anyOf": [result, {"type": "null"}]} if node.get("nullable") else result


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    spec()
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": _schemas()})


def problems_of_answer(kind: str, answer: dict[str, Any]) -> list[str]:
    """What is wrong with an object of a kind by the description; empty where nothing is."""
    schema = spec()["components"]["schemas"][kind]
    unknown = [f"unknown field {name}" for name in answer if name not in schema["properties"]]
    errors = _validator(kind).iter_errors(answer)
    return unknown + [f"{'.'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in errors]


def problems_of_request(method: str, path: str, given: dict[str, Any]) -> list[str]:
    """Parameters of a call that the description does not know; empty where it knows all."""
    for template, item in spec()["paths"].items():
        if len(template.split("/")) == len(path.split("/")) and all(
            part.startswith("{") or part == actual
            for part, actual in zip(template.split("/"), path.split("/"), strict=True)
        ):
            operation = item.get(method.lower())
            if operation is not None:
                return _unknown(given, _parameters(operation), "")
    return [f"{method} {path} is no call of Stripe's"]


def _parameters(operation: dict[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    for media in content.values():
        return media["schema"].get("properties", {})
    return {entry["name"]: entry.get("schema", {}) for entry in operation.get("parameters", [])}


def _unknown(given: Any, known: dict[str, Any], prefix: str) -> list[str]:
    found = []
    for name, value in given.items():
        if name not in known:
            found.append(f"unknown parameter {prefix}{name}")
            continue
        schema = known[name]
        items = value if isinstance(value, list) else [value]
        for item in items:
            properties = _properties(schema)
            if isinstance(item, dict) and properties:
                found += _unknown(item, properties, f"{prefix}{name}.")
    return found


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    if "items" in schema:
        return _properties(schema["items"])
    merged = dict(schema.get("properties", {}))
    for option in schema.get("anyOf", []):
        merged |= _properties(option)
    return merged

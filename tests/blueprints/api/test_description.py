"""The description of the API: complete, valid, and true to what the calls do."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from blueprints.api.calls import CALLS
from blueprints.api.codes import error_codes
from blueprints.api.openapi import openapi


@pytest.fixture
def document(app):
    return app.test_client().get("/api/openapi.json").get_json()


@pytest.fixture
def page(app):
    response = app.test_client().get("/api/docs")
    assert response.status_code == 200
    return response.get_data(as_text=True)


class TestOpenApi:
    def test_has_every_route(self, app, document):
        described = {(m.upper(), path) for path, each in document["paths"].items() for m in each}
        routed = {
            (method, re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule))
            for rule in app.url_map.iter_rules()
            if rule.rule.startswith("/api/") and rule.rule not in ("/api/openapi.json", "/api/docs")
            for method in rule.methods - {"HEAD", "OPTIONS"}
        }
        assert described == routed
        assert document["openapi"] == "3.1.0"

    def test_every_schema_is_one(self, document):
        for schema in document["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)
        references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
        assert references <= set(document["components"]["schemas"])

    def test_every_operation_is_described(self, document):
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                assert operation["summary"] and {"401", "403", "422"} <= set(operation["responses"]), path
                keys = [p["name"] for p in operation["parameters"] if p["in"] == "header"]
                assert ("Idempotency-Key" in keys) == (method == "post")

    def test_needs_no_key(self, app):
        assert app.test_client().get("/api/openapi.json").status_code == 200

    def test_answers_of_a_walk_through_match(self, own, platform, acme):
        document = openapi("1", "")
        walk = [
            ("post", "/api/credits/deduct", own.post("/api/credits/deduct", {"amount": 3})),
            ("post", "/api/credits/deduct", own.post("/api/credits/deduct", {"amount": 300})),
            ("post", "/api/credits/check", own.post("/api/credits/check", {"amount": 3})),
            ("post", "/api/credits/holds", own.post("/api/credits/holds", {"amount": 3})),
            ("post", "/api/credits/grant", own.post("/api/credits/grant", {"amount": 3})),
            ("get", "/api/credits/balance", own.get("/api/credits/balance")),
            ("get", "/api/credits/grants", own.get("/api/credits/grants")),
            ("get", "/api/credits/history", own.get("/api/credits/history")),
            ("get", "/api/accounts", platform.get("/api/accounts")),
            ("get", "/api/accounts/{name}", own.get("/api/accounts/acme")),
            ("post", "/api/accounts", platform.post("/api/accounts", {"name": "New"})),
        ]
        for method, path, response in walk:
            content = document["paths"][path][method]["responses"][str(response.status_code)]["content"]
            schema = content[response.content_type]["schema"] | {"components": document["components"]}
            Draft202012Validator(schema).validate(response.get_json(force=True))


class TestPage:
    def test_has_every_call_and_an_anchor_for_every_code(self, page):
        for call in CALLS:
            assert f'id="{call.name}"' in page
        for each in error_codes():
            assert f'id="{each.code}"' in page

    def test_has_nothing_inline(self, page):
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)

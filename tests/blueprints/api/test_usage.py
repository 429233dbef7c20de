"""Usage and estimates over the API: the contract's fields, one effect per key, refusals that name what is missing."""

from typing import Any

import pytest
from flask import Flask

from services.billing.subscriptions import set_plan
from services.catalog.preset_file import parse_catalog
from services.catalog.presets import load_catalog
from tests.blueprints.api.conftest import Program, give, program
from tests.conftest import make_account
from tests.services.usage.test_meters import CATALOG

ACTIONS = """
[[actions]]
code = "poster"
name = "Poster"
credits = 5
"""


@pytest.fixture
def account_id(app: Flask) -> int:
    load_catalog(parse_catalog(CATALOG + ACTIONS), "command")
    return make_account("acme")


@pytest.fixture
def own(app: Flask, account_id: int) -> Program:
    return program(app, account_id, ("read", "spend"))


class TestIncrement:
    def test_within_the_limit_it_is_counted(self, own: Program) -> None:
        answer = own.post("/api/user/usage/increment", {"meter": "calls"})
        assert answer.status_code == 200
        assert answer.json == {
            "allowed": True, "meter": "calls", "used": 1, "limit": 10, "remaining": 9, "credits_used": 0,
        }  # fmt: skip

    def test_beyond_it_nothing_is(self, own: Program) -> None:
        own.post("/api/user/usage/increment", {"meter": "calls", "quantity": 10})
        answer = own.post("/api/user/usage/increment", {"meter": "calls", "quantity": "1"})
        assert (answer.status_code, answer.json["code"]) == (402, "limit_reached")
        assert (answer.json["used"], answer.json["limit"]) == (10, 10)
        assert own.get("/api/user/usage").json["meters"][0]["warning"] == 100

    def test_one_key_counts_once_and_a_refusal_is_kept(self, own: Program) -> None:
        body = {"meter": "calls", "quantity": 8}
        first = own.post("/api/user/usage/increment", body, key="k")
        again = own.post("/api/user/usage/increment", body, key="k")
        assert again.json == first.json and again.headers["Idempotent-Replayed"] == "true"
        refused = own.post("/api/user/usage/increment", body, key="k2")
        assert refused.status_code == 402
        assert own.post("/api/user/usage/increment", body, key="k2").json == refused.json

    def test_credits_are_taken_for_the_rest(self, own: Program, account_id: int) -> None:
        set_plan(account_id, "pro")
        give(account_id, 50)
        answer = own.post("/api/user/usage/increment", {"meter": "calls", "quantity": 104, "task_id": "t-1"})
        assert (answer.json["used"], answer.json["credits_used"]) == (104, 12)
        (line,) = own.get("/api/credits/history", type="usage").json["transactions"]
        assert (line["amount"], line["task_id"], line["quantity"], line["unit_cost"]) == (-12, "t-1", 4, 3)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "meter"),
            ({"meter": "nonsense"}, "meter"),
            ({"meter": "calls", "quantity": 0}, "quantity"),
            ({"meter": "calls", "quantity": -1}, "quantity"),
            ({"meter": "calls", "quantity": 1.5}, "quantity"),
            ({"meter": "calls", "quantity": True}, "quantity"),
            ({"meter": "calls", "quantity": 10**16}, "quantity"),
            ({"meter": "calls", "quantity": None}, "quantity"),
        ],
    )
    def test_what_is_wrong_is_named(self, own: Program, body: dict[str, Any], field: str) -> None:
        answer = own.post("/api/user/usage/increment", body)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)

    def test_a_key_that_only_reads_may_not(self, app: Flask, account_id: int) -> None:
        reader = program(app, account_id, ("read",))
        assert reader.post("/api/user/usage/increment", {"meter": "calls"}).status_code == 403


class TestSet:
    def test_a_gauge_shows_what_it_was_set_to(self, own: Program) -> None:
        assert own.post("/api/user/usage/set", {"meter": "seats", "value": 2}).json["remaining"] == 0
        assert own.post("/api/user/usage/set", {"meter": "seats", "value": 3}).status_code == 402
        assert own.post("/api/user/usage/set", {"meter": "seats", "value": 0}).json["used"] == 0
        assert own.post("/api/user/usage/set", {"meter": "calls", "value": 1}).status_code == 422


class TestRead:
    def test_has_the_fields_of_the_contract(self, own: Program) -> None:
        own.post("/api/user/usage/increment", {"meter": "calls", "quantity": 8})
        own.post("/api/user/usage/increment", {"meter": "likes", "quantity": 2})
        answer = own.get("/api/user/usage", days=7)
        calls = answer.json["meters"][0]
        assert {key: calls[key] for key in ("code", "used", "limit", "remaining", "percent", "warning")} == {
            "code": "calls", "used": 8, "limit": 10, "remaining": 2, "percent": 80, "warning": 80,
        }  # fmt: skip
        assert answer.json["ratios"][0]["percent"] == 25
        assert len(answer.json["daily"]) == 7
        assert answer.json["daily"][-1]["calls"] == 8
        assert own.get("/api/customer/usage", days=7).json == answer.json

    @pytest.mark.parametrize("days", ["8", "0", "x", "-7"])
    def test_another_period_is_refused(self, own: Program, days: str) -> None:
        answer = own.get("/api/user/usage", days=days)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "days")

    def test_plans_say_what_they_include(self, own: Program) -> None:
        free, pro = own.get("/api/plans").json["plans"]
        assert free["limits"][0] == {
            "meter": "calls", "name": "Calls", "kind": "counter", "included": 10, "over": "block",
            "credits_per_unit": None,
        }  # fmt: skip
        assert pro["limits"][0]["credits_per_unit"] == 3


class TestEstimate:
    def test_says_what_it_costs_and_whether_there_is_enough(self, own: Program, account_id: int) -> None:
        body = {"items": [{"price": "poster", "quantity": 3}, {"price": "poster"}]}
        answer = own.post("/api/credits/estimate", body).json
        assert (answer["amount"], answer["available"], answer["sufficient"]) == (20, 0, False)
        give(account_id, 20)
        assert own.post("/api/credits/estimate", body).json["sufficient"] is True

    @pytest.mark.parametrize(
        ("items", "field"),
        [
            ([], "items"),
            ([{"price": "nonsense"}], "items.0.price"),
            ([{"price": "poster", "quantity": 0}], "items.0.quantity"),
            ([{}], "items.0.price"),
            ("poster", "items"),
        ],
    )
    def test_what_is_wrong_is_named(self, own: Program, items: Any, field: str) -> None:
        answer = own.post("/api/credits/estimate", {"items": items})
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)

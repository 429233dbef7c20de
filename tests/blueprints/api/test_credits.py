"""balance, grants, check, deduct, refund, grant, transfer: each call's contract."""

from datetime import timedelta

import pytest

from services.clock import business_now, iso
from services.ledger.balances import balance_of
from services.ledger.history import HistoryQuery, history
from services.ledger.spending_caps import set_spending_cap
from tests.blueprints.api.conftest import give, program
from tests.conftest import make_account, make_credit_type
from tests.services.ledger.desk import Clock


def lines(account_id):
    return history(HistoryQuery(account_id=account_id)).lines


class TestBalance:
    def test_no_key_is_refused(self, anonymous, problem_of):
        response = anonymous.get("/api/credits/balance", account="acme")
        assert problem_of(response) == (401, "unauthorized")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")

    def test_has_every_field_of_the_contract(self, own, acme):
        expires = business_now() + timedelta(days=3)
        give(acme, 40, source="subscription", expires_at=expires)
        body = own.get("/api/credits/balance").get_json()
        assert body == {
            "account": "acme", "type": "credits", "balance": 140, "held": 0, "available": 140,
            "total_purchased": 0, "total_used": 0, "formatted": "140", "subscription_credits": 40,
            "permanent_credits": 100, "subscription_expire_at": iso(expires), "spending_cap": None,
            "balances": [
                {"type": "credits", "balance": 140, "held": 0, "available": 140, "formatted": "140"}
            ],
        }  # fmt: skip

    def test_unchanged_is_304_until_a_spend(self, own):
        etag = own.get("/api/credits/balance").headers["ETag"]
        again = own.get("/api/credits/balance", headers={"If-None-Match": etag})
        assert again.status_code == 304 and again.data == b"" and again.headers["ETag"] == etag
        assert own.post("/api/credits/deduct", {"amount": 1}).status_code == 200
        changed = own.get("/api/credits/balance", headers={"If-None-Match": f'"x", {etag}'})
        assert changed.status_code == 200 and changed.headers["ETag"] != etag

    def test_other_account_is_as_missing(self, own, other):
        of_other = own.get("/api/credits/balance", account="other")
        of_none = own.get("/api/credits/balance", account="nobody")
        assert of_other.status_code == of_none.status_code == 404
        assert of_other.data == of_none.data

    def test_platform_must_name_the_account(self, platform, acme, problem_of):
        response = platform.get("/api/credits/balance")
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == "account"
        assert platform.get("/api/credits/balance", userId="acme").get_json()["balance"] == 100

    def test_money_is_formatted_with_its_digits(self, own, acme):
        make_credit_type("sms", 4, is_money=True, currency="usd")
        give(acme, 528800, credit_type="sms")
        for query in ({"credit_type": "sms"}, {"type": "sms"}):
            body = own.get("/api/credits/balance", **query).get_json()
            assert (body["balance"], body["formatted"]) == (52.88, "$52.88")
        own.post("/api/credits/deduct", {"amount": "0.0075", "credit_type": "sms"})
        body = own.get("/api/credits/balance", credit_type="sms").get_json()
        assert (body["balance"], body["formatted"]) == (52.8725, "$52.8725")

    def test_unknown_type_is_named(self, own, problem_of):
        response = own.get("/api/credits/balance", credit_type="gold")
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == "credit_type"

    def test_query_with_nul_is_refused(self, own, problem_of):
        assert problem_of(own.get("/api/credits/balance", account="a\x00b")) == (422, "invalid_request")


class TestGrants:
    def test_come_in_burn_order(self, own, acme):
        soon = give(acme, 10, expires_at=business_now() + timedelta(days=1))
        found = own.get("/api/credits/grants").get_json()["grants"]
        assert found[0]["id"] == soon
        assert set(found[0]) == {
            "id", "type", "source", "amount", "remaining", "held", "priority", "expires_at", "created_at",
        }  # fmt: skip
        assert found[0]["priority"] == 100 and found[1]["expires_at"] is None

    def test_used_lots_show_only_when_asked_for(self, own):
        own.post("/api/credits/deduct", {"amount": 100})
        assert own.get("/api/credits/grants").get_json()["grants"] == []
        every = own.get("/api/credits/grants", open="false").get_json()["grants"]
        assert [(lot["amount"], lot["remaining"]) for lot in every] == [(100, 0)]

    def test_open_must_be_a_boolean(self, own, problem_of):
        assert problem_of(own.get("/api/credits/grants", open="perhaps")) == (422, "invalid_request")


class TestCheck:
    @pytest.mark.parametrize(("amount", "allowed"), [(100, True), (101, False), ("7.0", True)])
    def test_answers_200_either_way(self, own, acme, amount, allowed):
        response = own.post("/api/credits/check", {"amount": amount})
        assert response.status_code == 200
        assert response.get_json() == {"allowed": allowed, "required": int(float(amount)), "available": 100}
        assert len(lines(acme)) == 1

    def test_scope_read_is_enough(self, app, acme):
        assert program(app, acme, ("read",)).post("/api/credits/check", {"amount": 1}).status_code == 200


class TestSpendingCap:
    @pytest.fixture(autouse=True)
    def capped(self, acme, monkeypatch):
        Clock(monkeypatch)
        set_spending_cap(acme, "credits", 30, "user:1")

    def test_refuses_spends_and_holds_and_says_what_is_left(self, own, acme, problem_of):
        assert own.post("/api/credits/deduct", {"amount": 20}).status_code == 200
        for path in ("deduct", "holds"):
            response = own.post(f"/api/credits/{path}", {"amount": 11})
            assert problem_of(response) == (402, "spending_cap_reached")
            body = response.get_json(force=True)
            assert (body["required"], body["left"], body["cap"]) == (11, 10, 30)
            assert (body["credit_type"], body["resets_at"]) == ("credits", "2026-02-01T00:00:00Z")
        assert len(lines(acme)) == 2

    def test_is_told_with_the_balance_and_by_check(self, own):
        own.post("/api/credits/deduct", {"amount": 20})
        own.post("/api/credits/holds", {"amount": 4})
        assert own.get("/api/credits/balance").get_json()["spending_cap"] == {
            "cap": 30, "used": 20, "reserved": 4, "left": 6, "resets_at": "2026-02-01T00:00:00Z",
        }  # fmt: skip
        checked = [own.post("/api/credits/check", {"amount": amount}).get_json() for amount in (6, 7)]
        assert [answer["allowed"] for answer in checked] == [True, False]


class TestDeduct:
    def test_answers_every_field_and_writes_one_line(self, own, acme):
        subscription = give(acme, 5, source="subscription", expires_at=business_now() + timedelta(days=3))
        answer = own.post("/api/credits/deduct", {"amount": 7, "taskId": "t-1", "description": "Scene"})
        body = answer.get_json()
        permanent = body["allocations"][1]["grant_id"]
        assert answer.status_code == 200
        assert body == {
            "success": True, "transaction_id": body["transaction_id"], "deducted": 7,
            "from_subscription": 5, "from_permanent": 2, "balance_before": 105, "balance_after": 98,
            "allocations": [
                {"grant_id": subscription, "amount": 5}, {"grant_id": permanent, "amount": 2},
            ],
        }  # fmt: skip
        line = lines(acme)[0]
        assert (line.id, line.amount, line.task_id, line.description) == (
            body["transaction_id"], -7, "t-1", "Scene",
        )  # fmt: skip
        assert line.actor.startswith("key:")
        assert balance_of(acme, "credits").balance == 98

    def test_short_is_402_with_what_is_there(self, own, acme, problem_of):
        response = own.post("/api/credits/deduct", {"amount": 101})
        assert problem_of(response) == (402, "insufficient_credits")
        document = response.get_json(force=True)
        assert (document["required"], document["available"]) == (101, 100)
        assert document["credit_type"] == "credits"
        assert balance_of(acme, "credits").balance == 100

    @pytest.mark.parametrize(
        "amount",
        [
            0,
            -1,
            "0",
            0.5,
            "1.5",
            True,
            False,
            None,
            "",
            "abc",
            "NaN",
            "Infinity",
            [],
            {},
            "1e999",
            "٣",
            "1_0",
        ],
    )
    def test_bad_amounts_name_the_field(self, own, acme, problem_of, amount):
        response = own.post("/api/credits/deduct", {"amount": amount})
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == "amount"
        assert len(lines(acme)) == 1

    @pytest.mark.parametrize(
        "amount", ["NaN", "Infinity", "-Infinity", "1e999999999999999999999", "9" * 5000]
    )
    def test_numbers_that_json_cannot_say_name_the_field(self, own, acme, problem_of, amount):
        response = own.post("/api/credits/deduct", raw=f'{{"amount": {amount}}}')
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == "amount"
        assert len(lines(acme)) == 1

    def test_beyond_the_cap_is_balance_limit(self, own, problem_of):
        response = own.post("/api/credits/deduct", {"amount": 10**15 + 1})
        assert problem_of(response) == (422, "balance_limit")

    def test_misspelt_amount_is_missed(self, own, problem_of):
        response = own.post("/api/credits/deduct", {"ammount": 7})
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == "amount"

    def test_equal_by_value_is_fine(self, own):
        for amount in ("7.00", "1e1", " 7 "):
            assert own.post("/api/credits/deduct", {"amount": amount}).status_code == 200
        assert own.post("/api/credits/deduct", raw='{"amount": 7.000}').status_code == 200

    def test_frozen_account_is_403(self, app, problem_of):
        frozen = make_account("frozen", status="frozen")
        response = program(app, frozen).post("/api/credits/deduct", {"amount": 1})
        assert problem_of(response) == (403, "account_frozen")

    def test_needs_the_scope_spend(self, app, acme, problem_of):
        response = program(app, acme, ("read",)).post("/api/credits/deduct", {"amount": 1})
        assert problem_of(response) == (403, "forbidden")
        assert len(lines(acme)) == 1

    def test_metadata_and_outside_ids_come_back_in_history(self, own):
        own.post(
            "/api/credits/deduct",
            {"amount": 1, "metadata": {"a": [1, 2.5]}, "message_id": "m-1", "campaign_id": 9},
        )
        metadata = own.get("/api/credits/history").get_json()["transactions"][0]["metadata"]
        assert metadata == {"a": [1, 2.5], "message_id": "m-1", "campaign_id": 9}

    @pytest.mark.parametrize("metadata", [[], "text", 3, {"big": "x" * 9000}])
    def test_metadata_must_be_a_small_object(self, own, problem_of, metadata):
        response = own.post("/api/credits/deduct", {"amount": 1, "metadata": metadata})
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == "metadata"

    def test_account_in_query_and_body_must_agree(self, platform, acme, other, problem_of):
        response = platform.post("/api/credits/deduct", {"amount": 1, "account": "acme"}, account="other")
        assert problem_of(response) == (422, "invalid_request")
        assert platform.post("/api/credits/deduct", {"amount": 1}, account="acme").status_code == 200
        assert platform.post("/api/credits/deduct", {"amount": 1, "userId": "acme"}).status_code == 200
        assert balance_of(acme, "credits").balance == 98


class TestQuantityAndUnitCost:
    @pytest.fixture
    def sms(self, acme):
        make_credit_type("sms", 4, is_money=True, currency="usd")
        give(acme, 10_0000, credit_type="sms")

    def deduct(self, own, **body):
        return own.post("/api/credits/deduct", {"credit_type": "sms", **body})

    def test_amount_may_be_left_out_where_exact(self, own, sms):
        response = self.deduct(own, quantity=100, unit_cost="0.0075")
        assert response.get_json()["deducted"] == 0.75
        line = own.get("/api/credits/history", credit_type="sms").get_json()["transactions"][0]
        assert (line["quantity"], line["unit_cost"], line["amount"]) == (100, 0.0075, -0.75)

    def test_unit_cost_has_four_digits_more(self, own, sms, problem_of):
        assert self.deduct(own, quantity=10000, unit_cost="0.00000001").get_json()["deducted"] == 0.0001
        response = self.deduct(own, quantity=100000, unit_cost="0.000000001")
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == "unit_cost"

    def test_inexact_product_needs_an_amount(self, own, sms, problem_of):
        assert problem_of(self.deduct(own, quantity=1, unit_cost="0.00001")) == (422, "invalid_request")

    def test_all_three_unequal_is_refused(self, own, sms, problem_of):
        assert problem_of(self.deduct(own, amount=1, quantity=3, unit_cost="0.5")) == (422, "invalid_request")
        assert self.deduct(own, amount="1.5", quantity=3, unit_cost="0.5").status_code == 200

    @pytest.mark.parametrize(
        "factors", [{"quantity": 0}, {"quantity": -1}, {"unit_cost": 0}, {"quantity": True}]
    )
    def test_factors_must_be_positive_numbers(self, own, sms, problem_of, factors):
        response = self.deduct(own, amount=1, **factors)
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] in factors


class TestRefund:
    def test_returns_to_the_lots_that_paid(self, own, acme):
        spent = own.post("/api/credits/deduct", {"amount": 30}).get_json()
        response = own.post("/api/credits/refund", {"transaction_id": spent["transaction_id"], "amount": 10})
        body = response.get_json()
        assert response.status_code == 200
        assert body == {
            "transaction_id": body["transaction_id"], "refunded": 10, "balance_after": 80,
            "allocations": [{"grant_id": spent["allocations"][0]["grant_id"], "amount": 10}],
        }  # fmt: skip
        assert balance_of(acme, "credits").balance == 80

    def test_more_than_spent_is_a_conflict(self, own, problem_of):
        spent = own.post("/api/credits/deduct", {"amount": 30}).get_json()["transaction_id"]
        response = own.post("/api/credits/refund", {"transaction_id": spent, "amount": 31})
        assert problem_of(response) == (409, "conflict")
        assert response.get_json(force=True)["refundable"] == 30

    def test_other_accounts_line_is_missing(self, own, app, other, problem_of):
        spent = program(app, other).post("/api/credits/deduct", {"amount": 3}).get_json()["transaction_id"]
        assert problem_of(own.post("/api/credits/refund", {"transaction_id": spent})) == (404, "not_found")
        assert balance_of(other, "credits").balance == 97

    @pytest.mark.parametrize("number", [0, -1, 2**63, True, "x", None, 1.5, "99999999999999999999999"])
    def test_impossible_numbers_are_refused(self, own, problem_of, number):
        response = own.post("/api/credits/refund", {"transaction_id": number})
        assert problem_of(response) == (422, "invalid_request")

    def test_scopes(self, app, acme, problem_of):
        spender = program(app, acme, ("read", "spend"))
        spent = spender.post("/api/credits/deduct", {"amount": 2}).get_json()["transaction_id"]
        assert problem_of(spender.post("/api/credits/refund", {"transaction_id": spent})) == (
            403,
            "forbidden",
        )
        own_platform = program(app, None, ("spend",))
        response = own_platform.post("/api/credits/refund", {"transaction_id": spent, "account": "acme"})
        assert response.status_code == 200


class TestGrant:
    def test_bonus_makes_a_lot(self, own, acme):
        response = own.post(
            "/api/credits/grant",
            {"amount": 25, "source": "bonus", "expires_at": "2099-01-31T12:00:00Z", "priority": 50},
        )
        body = response.get_json()
        assert response.status_code == 201 and body["balance_after"] == 125
        lot = own.get("/api/credits/grants").get_json()["grants"][0]
        assert lot["id"] == body["grant_id"]
        assert (lot["priority"], lot["expires_at"]) == (50, "2099-01-31T12:00:00Z")

    def test_adjustment_may_take_away(self, own, acme):
        response = own.post("/api/credits/grant", {"amount": -40, "source": "adjustment"})
        assert response.status_code == 201
        assert response.get_json()["grant_id"] is None and response.get_json()["balance_after"] == 60
        assert lines(acme)[0].type == "adjustment"

    def test_adjustment_below_zero_is_402(self, own, problem_of):
        response = own.post("/api/credits/grant", {"amount": -101, "source": "adjustment"})
        assert problem_of(response) == (402, "insufficient_credits")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"amount": -1, "source": "bonus"}, "amount"),
            ({"amount": 1, "source": "purchase"}, "source"),
            ({"amount": 1, "priority": 1001}, "priority"),
            ({"amount": 1, "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
            ({"amount": 1, "expires_at": "soon"}, "expires_at"),
            ({"amount": 1, "expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
            ({"amount": -1, "source": "adjustment", "priority": 1}, "priority"),
            ({"amount": 1, "description": "x" * 501}, "description"),
        ],
    )
    def test_what_is_wrong_is_named(self, own, acme, problem_of, body, field):
        response = own.post("/api/credits/grant", body)
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == field
        assert len(lines(acme)) == 1

    def test_needs_the_scope_manage(self, app, acme, problem_of):
        spender = program(app, acme, ("read", "spend"))
        assert problem_of(spender.post("/api/credits/grant", {"amount": 1})) == (403, "forbidden")


class TestTransfer:
    def test_moves_permanent_credits(self, platform, acme, other):
        body = {"from": "acme", "to": "other", "amount": 30}
        response = platform.post("/api/credits/transfer", body)
        assert response.status_code == 200
        assert response.get_json()["from_balance"] == 70 and response.get_json()["to_balance"] == 130
        assert balance_of(acme, "credits").balance == 70
        assert balance_of(other, "credits").balance == 130

    def test_an_accounts_key_reaches_no_other(self, own, other, problem_of):
        for body in ({"from": "other", "to": "acme"}, {"to": "other"}):
            assert problem_of(own.post("/api/credits/transfer", body | {"amount": 1})) == (404, "not_found")
        assert balance_of(other, "credits").balance == 100

    @pytest.mark.parametrize(
        ("body", "field"),
        [({"to": "other"}, "from"), ({"from": "acme"}, "to"), ({"from": "acme", "to": "acme"}, "to")],
    )
    def test_both_must_be_named(self, platform, acme, other, problem_of, body, field):
        response = platform.post("/api/credits/transfer", {"amount": 1, **body})
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == field

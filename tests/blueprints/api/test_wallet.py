"""The money wallet over the API: exact to the digit, funded once per payment."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from extensions import db
from models.billing import Order, Payment
from models.ledger import Transaction
from services.catalog.presets import load_preset
from tests.blueprints.api.conftest import Program, program
from tests.conftest import make_account
from tests.shop import CATALOGS, Shop, open_shop
from tests.visitor import fresh


@pytest.fixture
def shop(app: Flask, tmp_path: Path) -> Iterator[Shop]:
    with open_shop(app, tmp_path) as found:
        load_preset(CATALOGS / "messaging.toml")
        yield found


@pytest.fixture
def account_id(shop: Shop) -> int:
    return make_account("texts", email="billing@texts.example")


@pytest.fixture
def platform(app: Flask, account_id: int) -> Program:
    return program(app, None)


def by_hand(platform: Program, amount: Any, **more: Any) -> Any:
    body = {"account": "texts", "amount": amount, "payment_method": "manual"} | more
    return platform.post("/api/billing/add-funds", body)


def lines() -> list[tuple[str, int]]:
    fresh()
    return list(db.session.execute(select(Transaction.type, Transaction.amount).order_by(Transaction.id)))


class TestByHand:
    def test_funds_are_added_and_formatted(self, platform: Program) -> None:
        answer = by_hand(platform, "52.88", payment_intent_id="bank-1")
        assert answer.status_code == 201
        assert (answer.json["balance"], answer.json["formatted"]) == (52.88, "$52.88")
        assert lines() == [("purchase", 528_800)]
        payment = db.session.scalars(select(Payment)).one()
        assert (payment.kind, payment.status, payment.amount_cents) == ("manual", "paid", 5288)

    def test_a_reference_counts_once(self, platform: Program) -> None:
        by_hand(platform, 10, payment_intent_id="bank-1")
        again = by_hand(platform, 10, payment_intent_id="bank-1")
        assert (again.status_code, again.json["code"]) == (409, "conflict")
        assert lines() == [("purchase", 100_000)]

    def test_only_a_platform_key_may(self, app: Flask, account_id: int) -> None:
        own = program(app, account_id)
        answer = own.post("/api/billing/add-funds", {"amount": 10, "payment_method": "manual"})
        assert (answer.status_code, lines()) == (403, [])

    @pytest.mark.parametrize("amount", ["0", "-5", "0.001", "52.8825", "x", None, True, 1e400])
    def test_an_amount_that_is_none_is_refused(self, platform: Program, amount: Any) -> None:
        answer = by_hand(platform, amount)
        assert answer.status_code in (400, 422)
        assert lines() == []


class TestSpending:
    def test_three_segments_take_their_exact_price(self, platform: Program) -> None:
        by_hand(platform, "1.00")
        spent = platform.post(
            "/api/credits/deduct",
            {"account": "texts", "credit_type": "sms", "quantity": 3, "unit_cost": "0.0075"},
        )
        assert spent.json["deducted"] == 0.0225
        balance = platform.get("/api/billing/balance", account="texts").json
        assert (balance["balance"], balance["formatted"]) == (0.9775, "$0.9775")

    def test_it_never_goes_below_nothing(self, platform: Program) -> None:
        by_hand(platform, "0.02")
        spent = platform.post(
            "/api/credits/deduct",
            {"account": "texts", "credit_type": "sms", "quantity": 3, "unit_cost": "0.0075"},
        )
        assert (spent.status_code, spent.json["code"]) == (402, "insufficient_credits")
        assert lines() == [("purchase", 200)]

    def test_messages_are_told_from_other_lines(self, platform: Program) -> None:
        by_hand(platform, 5)
        for body in ({"quantity": 2, "unit_cost": "0.0075"}, {"amount": "0.5"}):
            platform.post("/api/credits/deduct", {"account": "texts", "credit_type": "sms"} | body)
        found = platform.get("/api/billing/transactions", account="texts").json["transactions"]
        assert [line["label"] for line in found] == ["usage", "sms_send", "purchase"]
        sent = platform.get("/api/billing/transactions", account="texts", type="sms_send").json
        assert sent["pagination"]["total"] == 1
        assert (sent["transactions"][0]["sms_count"], sent["transactions"][0]["cost_per_sms"]) == (2, 0.0075)


class TestByCheckout:
    def test_what_was_paid_is_in_the_wallet_once(self, app: Flask, shop: Shop, account_id: int) -> None:
        own = program(app, account_id)
        body = {"amount": 25, "payment_method": "stripe"}
        started = own.post("/api/billing/add-funds", body, key="k1")
        assert started.status_code == 201
        assert own.post("/api/billing/add-funds", body, key="k1").json == started.json
        shop.pay(started.json["session_id"])
        for event in shop.events("checkout.session.completed", "payment_intent.succeeded") * 2:
            shop.deliver(event)
        assert lines() == [("purchase", 250_000)]
        assert [(p.kind, p.amount_cents) for p in db.session.scalars(select(Payment))] == [("funds", 2500)]
        assert db.session.scalars(select(Order)).one().kind == "funds"

    @pytest.mark.parametrize("amount", [4.99, 10000.01, 10**9])
    def test_amounts_out_of_bounds_are_refused(
        self, app: Flask, shop: Shop, account_id: int, amount: float
    ) -> None:
        answer = program(app, account_id).post("/api/billing/add-funds", {"amount": amount})
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "amount")
        assert shop.sessions() == []

    def test_the_same_key_for_another_amount_is_refused(self, app: Flask, account_id: int) -> None:
        own = program(app, account_id)
        own.post("/api/billing/add-funds", {"amount": 25}, key="k1")
        assert own.post("/api/billing/add-funds", {"amount": 50}, key="k1").status_code == 409


class TestByIntent:
    def intent(self, shop: Shop, account: str = "texts", cents: int = 2500, **more: Any) -> str:
        client = shop.payments._client.v1
        return client.payment_intents.create(
            {
                "amount": cents, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa",
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                "metadata": {"account": account}, **more,
            }
        ).id  # fmt: skip

    def add(self, platform: Program, intent_id: str, amount: Any = 25) -> Any:
        return platform.post(
            "/api/billing/add-funds",
            {
                "account": "texts",
                "amount": amount,
                "payment_method": "stripe",
                "payment_intent_id": intent_id,
            },
        )

    def test_a_succeeded_one_is_added_once(self, shop: Shop, platform: Program) -> None:
        intent_id = self.intent(shop)
        assert self.add(platform, intent_id).json["formatted"] == "$25.00"
        again = self.add(platform, intent_id)
        assert (again.status_code, again.json["errors"][0]["field"]) == (422, "payment_intent_id")
        assert lines() == [("purchase", 250_000)]

    @pytest.mark.parametrize(
        ("made", "amount", "field"),
        [
            ({"account": "acme"}, 25, "payment_intent_id"),
            ({"cents": 2400}, 25, "amount"),
            ({"currency": "eur"}, 25, "payment_intent_id"),
            ({"confirm": False}, 25, "payment_intent_id"),
        ],
    )
    def test_what_does_not_agree_adds_nothing(
        self, shop: Shop, platform: Program, made: dict[str, Any], amount: int, field: str
    ) -> None:
        answer = self.add(platform, self.intent(shop, **made), amount)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
        assert lines() == []

    def test_an_unknown_one_adds_nothing(self, platform: Program) -> None:
        assert self.add(platform, "pi_unknown").status_code == 422


class TestAccountsWithoutWallet:
    def test_they_are_told(self, app: Flask) -> None:
        make_account("acme")
        answer = program(app, None).get("/api/billing/balance", account="acme")
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "credit_type")

    def test_a_type_that_is_no_money_is_refused(self, platform: Program) -> None:
        answer = platform.get("/api/billing/balance", account="texts", credit_type="credits")
        assert answer.status_code == 422

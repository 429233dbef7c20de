"""A payment given back takes its credits back, as far as they are unspent, however often it is told."""

import itertools
from typing import Any

import pytest
from sqlalchemy import select

from extensions import db
from models.accounts import Account
from models.billing import Payment
from services.billing.purchases import fulfil_checkout
from services.ledger.balances import balance_of
from services.ledger.debits import Spend, spend_credits
from tests.shop import Shop, end_state

TOLD = ("checkout.session.completed", "charge.refunded", "refund.updated", "refund.created")


def bought(shop: Shop) -> str:
    started = shop.start()
    shop.pay(started.session_id)
    fulfil_checkout(started.session_id, "user:1", shop.payments)
    return started.session_id


def deliver_all(shop: Shop, *types: str) -> None:
    for event in shop.events(*types):
        assert shop.deliver(event).status_code == 200


class TestRefund:
    def test_in_part_then_whole(self, either_shop: Shop) -> None:
        session_id = bought(either_shop)
        either_shop.refund(session_id, amount=1000)
        deliver_all(either_shop, "charge.refunded")
        state = end_state()
        assert state["payments"] == [("partially_refunded", 3500, 1000, None)]
        assert state["lots"] == [(1000, 715, 285, 0)]  # floor(1000 × 1000 ÷ 3500) = 285
        either_shop.refund(session_id)
        deliver_all(either_shop, "charge.refunded")
        state = end_state()
        assert state["payments"] == [("refunded", 3500, 3500, None)]
        assert state["lots"] == [(1000, 0, 1000, 0)]
        assert state["lines"] == [("purchase", 1000), ("revocation", -285), ("revocation", -715)]

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_told_in_any_order_and_often_the_end_is_the_same(
        self, shop: Shop, order: tuple[int, ...]
    ) -> None:
        started = shop.start()
        shop.pay(started.session_id)
        shop.refund(started.session_id, amount=700)
        completed, *refunded = shop.events(*TOLD)
        told = [completed, *refunded][:3]
        for index in order:
            if index < len(told):
                for copy in ("", "x"):
                    shop.deliver(told[index] | {"id": told[index]["id"] + copy})
        state = end_state()
        assert state["lots"] == [(1000, 800, 200, 0)]
        assert state["payments"] == [("partially_refunded", 3500, 700, None)]
        assert state["orders"] == [("paid", None)]

    def test_before_anything_was_credited(self, either_shop: Shop) -> None:
        started = either_shop.start()
        either_shop.pay(started.session_id)
        either_shop.refund(started.session_id)
        deliver_all(either_shop, "charge.refunded")
        fulfil_checkout(started.session_id, "user:1", either_shop.payments)
        state = end_state()
        assert state["payments"] == [("refunded", 3500, 3500, None)]
        assert state["lots"] == [(1000, 0, 1000, 0)]

    def test_what_was_spent_stays_owed(self, shop: Shop) -> None:
        session_id = bought(shop)
        spend_credits(Spend(account_id=shop.account_id, credit_type="credits", amount=900, actor="key:1"))
        shop.refund(session_id)
        deliver_all(shop, "charge.refunded")
        assert end_state()["lots"] == [(1000, 0, 100, 900)]
        assert balance_of(shop.account_id, "credits").balance == 0

    def test_by_the_refund_alone(self, shop: Shop) -> None:
        session_id = bought(shop)
        shop.refund(session_id, amount=3500)
        (charge,) = shop.server.store.all("charge")
        (refund,) = shop.server.store.all("refund")
        event = {"id": "evt_refund", "type": "refund.updated", "data": {"object": refund}}
        shop.deliver(event)
        assert refund["charge"] == charge["id"]
        assert end_state()["payments"] == [("refunded", 3500, 3500, None)]

    def test_a_charge_of_somebody_else_is_ignored(self, shop: Shop) -> None:
        client = shop.payments._client
        intent = client.v1.payment_intents.create(
            {"amount": 500, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa",
             "return_url": "https://x.example"}  # type: ignore[typeddict-item]
        )  # fmt: skip
        client.v1.refunds.create({"payment_intent": intent.id})
        (event,) = shop.events("charge.refunded")
        shop.deliver(event)
        assert end_state() == {"orders": [], "payments": [], "lots": [], "lines": []}


class TestDispute:
    @staticmethod
    def dispute(shop: Shop, status: str) -> dict[str, Any]:
        (charge,) = shop.server.store.all("charge")
        dispute = {"id": "dp_1", "object": "dispute", "charge": charge["id"], "status": status, "created": 1}
        shop.server.store.put(dispute)
        return {"id": f"evt_{status}", "type": "charge.dispute.created", "data": {"object": dispute}}

    def test_marks_the_payment_until_it_is_won(self, shop: Shop) -> None:
        bought(shop)
        shop.deliver(self.dispute(shop, "needs_response"))
        assert end_state()["payments"] == [("disputed", 3500, 0, None)]
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]
        shop.deliver(self.dispute(shop, "won"))
        assert end_state()["payments"] == [("paid", 3500, 0, None)]


class TestCustomerDeleted:
    def test_is_forgotten_and_made_anew(self, shop: Shop) -> None:
        shop.start()
        account = db.session.get_one(Account, shop.account_id)
        assert account.stripe_customer_id is not None
        shop.payments._client.v1.customers.delete(account.stripe_customer_id)
        (event,) = shop.events("customer.deleted")
        shop.deliver(event)
        assert db.session.get_one(Account, shop.account_id).stripe_customer_id is None
        bought(shop)
        assert db.session.scalar(select(Payment.status)) == "paid"

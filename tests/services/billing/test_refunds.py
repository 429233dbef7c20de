"""A payment given back takes its credits back, as far as they are unspent, however often it is told."""

import itertools
from typing import Literal

import pytest
from sqlalchemy import select

from extensions import db
from models.accounts import Account
from models.billing import Payment
from sandbox.disputes import close_dispute, open_dispute
from sandbox.refunds import fail_refund
from services.billing.purchases import fulfil_checkout
from services.ledger.balances import balance_of
from services.ledger.debits import Spend, spend_credits
from services.ledger.grants import Incoming, grant_credits
from tests.shop import Shop, end_state

TOLD = ("checkout.session.completed", "charge.refunded", "refund.updated", "refund.created")


def bought(shop: Shop) -> str:
    started = shop.start()
    shop.pay(started.session_id)
    fulfil_checkout(started.session_id, "user:1", shop.payments)
    return started.session_id


def spend(shop: Shop, amount: int) -> None:
    spend_credits(Spend(account_id=shop.account_id, credit_type="credits", amount=amount, actor="key:1"))


def give(shop: Shop, amount: int) -> None:
    grant_credits(
        Incoming(account_id=shop.account_id, credit_type="credits", amount=amount, source="bonus",
                 actor="command", priority=50)
    )  # fmt: skip


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
        spend(shop, 900)
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


class TestFailedRefund:
    def test_gives_back_what_was_taken(self, either_shop: Shop) -> None:
        session_id = bought(either_shop)
        either_shop.refund(session_id, amount=700)
        deliver_all(either_shop, "charge.refunded")
        (refund,) = either_shop.server.store.all("refund")
        fail_refund(either_shop.server.store, refund["id"])
        deliver_all(either_shop, "refund.failed", "refund.updated")
        state = end_state()
        assert state["payments"] == [("paid", 3500, 0, None)]
        assert state["lots"] == [(1000, 1000, 0, 0)]
        assert state["lines"] == [("purchase", 1000), ("revocation", -200), ("revocation", 200)]

    def test_what_was_owed_is_owed_no_more(self, either_shop: Shop) -> None:
        session_id = bought(either_shop)
        spend(either_shop, 900)
        either_shop.refund(session_id)
        deliver_all(either_shop, "charge.refunded")
        assert end_state()["lots"] == [(1000, 0, 100, 900)]
        (refund,) = either_shop.server.store.all("refund")
        fail_refund(either_shop.server.store, refund["id"])
        deliver_all(either_shop, "refund.failed")
        assert end_state()["lots"] == [(1000, 100, 0, 0)]


class TestDispute:
    @staticmethod
    def open(shop: Shop) -> str:
        (charge,) = shop.server.store.all("charge")
        dispute = open_dispute(shop.server.store, charge["id"])
        deliver_all(shop, "charge.dispute.created")
        return dispute["id"]

    @staticmethod
    def available(shop: Shop) -> tuple[int, int]:
        found = balance_of(shop.account_id, "credits")
        return found.balance, found.available

    def test_sets_aside_what_is_left_while_the_account_stays_open(self, either_shop: Shop) -> None:
        bought(either_shop)
        spend(either_shop, 300)
        give(either_shop, 50)
        self.open(either_shop)
        assert end_state()["payments"] == [("disputed", 3500, 0, None)]
        assert self.available(either_shop) == (750, 50)
        spend(either_shop, 40)
        deliver_all(either_shop, "charge.dispute.created")
        assert self.available(either_shop) == (710, 10)

    def test_won_lets_the_credits_go(self, either_shop: Shop) -> None:
        bought(either_shop)
        dispute_id = self.open(either_shop)
        close_dispute(either_shop.server.store, dispute_id, "won")
        deliver_all(either_shop, "charge.dispute.closed", "charge.dispute.funds_reinstated")
        assert end_state()["payments"] == [("paid", 3500, 0, None)]
        assert self.available(either_shop) == (1000, 1000)
        assert end_state()["lines"] == [("purchase", 1000)]

    def test_lost_takes_them_back_and_what_was_spent_is_owed(self, either_shop: Shop) -> None:
        bought(either_shop)
        spend(either_shop, 300)
        dispute_id = self.open(either_shop)
        close_dispute(either_shop.server.store, dispute_id, "lost")
        deliver_all(either_shop, "charge.dispute.closed")
        state = end_state()
        assert state["payments"] == [("disputed", 3500, 0, None)]
        assert state["lots"] == [(1000, 0, 700, 300)]
        assert self.available(either_shop) == (0, 0)

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    @pytest.mark.parametrize("outcome", ["won", "lost"])
    def test_told_in_any_order_and_often_the_end_is_the_same(
        self, shop: Shop, outcome: Literal["won", "lost"], order: tuple[int, ...]
    ) -> None:
        bought(shop)
        (charge,) = shop.server.store.all("charge")
        dispute = open_dispute(shop.server.store, charge["id"])
        early = shop.events("charge.dispute.created")
        if order[0] == 0:
            shop.deliver(early[0] | {"id": "evt_early"})
        close_dispute(shop.server.store, dispute["id"], outcome)
        told = shop.events(
            "charge.dispute.created", "charge.dispute.closed", "charge.dispute.funds_withdrawn"
        )
        for index in order:
            for copy in ("", "x"):
                shop.deliver(told[index] | {"id": told[index]["id"] + copy})
        left = 1000 if outcome == "won" else 0
        assert end_state()["lots"] == [(1000, left, 1000 - left, 0)]
        assert self.available(shop) == (left, left)

    def test_an_inquiry_sets_nothing_aside(self, shop: Shop) -> None:
        bought(shop)
        (charge,) = shop.server.store.all("charge")
        dispute = open_dispute(shop.server.store, charge["id"])
        shop.server.store.put(dispute | {"status": "warning_needs_response"})
        deliver_all(shop, "charge.dispute.created")
        assert end_state()["payments"] == [("disputed", 3500, 0, None)]
        assert self.available(shop) == (1000, 1000)


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

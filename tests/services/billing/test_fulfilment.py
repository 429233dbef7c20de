"""One paid Checkout, one grant: any order of events, any number of deliveries, the success page in between."""

import itertools
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from errors import Conflict, NotFound
from extensions import db
from models.billing import Order, Payment
from models.ledger import Grant, Transaction
from services.billing import fulfilment
from services.billing.purchases import fulfil_checkout
from services.ledger.balances import balance_of
from services.ledger.grants import Incoming, grant_credits
from services.money import MAX_UNITS
from tests.conftest import make_account
from tests.shop import BANK, DECLINED, Shop, end_state, inbox_states

TOLD = ("checkout.session.completed", "payment_intent.succeeded", "charge.succeeded")
CREDITED = {
    "orders": [("paid", None)],
    "payments": [("paid", 3500, 0, None)],
    "lots": [(1000, 1000, 0, 0)],
    "lines": [("purchase", 1000)],
}


def paid(shop: Shop, **more: Any) -> str:
    started = shop.start()
    shop.pay(started.session_id, **more)
    return started.session_id


def change_session(shop: Shop, session_id: str, **values: Any) -> None:
    """Let the provider's session say something else than the order."""
    session = shop.server.store.get("checkout.session", session_id)
    for path, value in values.items():
        part = session
        *parents, name = path.split("__")
        for parent in parents:
            part = part[parent]
        part[name] = value
    shop.server.store.put(session)


class TestEveryOrderOfEvents:
    def test_every_order_and_prefix_under_two_ids(self, either_shop: Shop) -> None:
        session_id = paid(either_shop, event_copies=2)
        events = either_shop.events(*TOLD)
        assert len(events) == 4
        for number, order in enumerate(itertools.permutations(events)):
            for event in order[: number % 4 + 1]:
                assert either_shop.deliver(event).status_code == 200
            if number == 0:
                fulfil_checkout(session_id, "user:1", either_shop.payments)
            assert end_state() == CREDITED or not set(inbox_states().values()) & {"processed"}
        for event in events:
            either_shop.deliver(event)
        assert end_state() == CREDITED

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    @pytest.mark.parametrize("visit_at", [0, 1, 2, 3, None])
    def test_each_order_alone_five_times_with_the_success_page(
        self, shop: Shop, order: tuple[int, ...], visit_at: int | None
    ) -> None:
        session_id = paid(shop)
        events = shop.events(*TOLD)
        for position, index in enumerate(order):
            if visit_at == position:
                fulfil_checkout(session_id, "user:1", shop.payments)
            for _ in range(5):
                assert shop.deliver(events[index]).status_code == 200
        if visit_at == 3:
            fulfil_checkout(session_id, "user:1", shop.payments)
        assert end_state() == CREDITED
        assert sorted(inbox_states().values()) == ["ignored", "processed", "processed"]

    @pytest.mark.parametrize("wanted", TOLD[:2])
    def test_one_event_alone_is_enough(self, either_shop: Shop, wanted: str) -> None:
        paid(either_shop)
        (event,) = either_shop.events(wanted)
        either_shop.deliver(event)
        assert end_state() == CREDITED
        line = db.session.scalar(select(Transaction))
        assert line is not None and line.actor == f"stripe:{event['id']}"
        assert line.payment_method == "stripe"

    def test_the_payment_keeps_what_was_paid(self, shop: Shop) -> None:
        session_id = paid(shop)
        fulfil_checkout(session_id, "user:1", shop.payments)
        payment = db.session.scalar(select(Payment))
        grant = db.session.scalar(select(Grant))
        assert payment is not None and grant is not None
        session = shop.server.store.get("checkout.session", session_id)
        assert payment.stripe_session_id == session_id
        assert payment.stripe_payment_intent_id == session["payment_intent"]
        assert payment.invoice_url and "/sandbox/invoices/" in payment.invoice_url
        assert payment.paid_at is not None and grant.payment_id == payment.id


class TestUnpaid:
    def test_an_open_session_waits(self, shop: Shop) -> None:
        started = shop.start()
        assert fulfil_checkout(started.session_id, "user:1", shop.payments) == "waiting"
        assert end_state() == {"orders": [("open", None)], "payments": [], "lots": [], "lines": []}

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_a_bank_debit_that_arrives_credits_once(self, shop: Shop, order: tuple[int, ...]) -> None:
        started = shop.start()
        shop.pay(started.session_id, BANK)
        assert fulfil_checkout(started.session_id, "user:1", shop.payments) == "waiting"
        assert end_state()["payments"] == [("pending", 3500, 0, None)]
        assert end_state()["lots"] == []
        shop.settle(started.session_id)
        events = shop.events(
            "checkout.session.completed", "checkout.session.async_payment_succeeded",
            "payment_intent.succeeded",
        )  # fmt: skip
        for index in order:
            shop.deliver(events[index])
        assert end_state() == CREDITED

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_a_bank_debit_that_comes_back_credits_nothing(self, shop: Shop, order: tuple[int, ...]) -> None:
        started = shop.start()
        shop.pay(started.session_id, BANK)
        shop.settle(started.session_id, succeeds=False)
        events = shop.events(
            "checkout.session.completed", "checkout.session.async_payment_failed",
            "payment_intent.payment_failed",
        )  # fmt: skip
        assert len(events) == 3
        for index in order:
            shop.deliver(events[index])
        state = end_state()
        assert state["orders"] == [("expired", None)]
        assert state["payments"] == [("failed", 3500, 0, "The bank returned the debit.")]
        assert state["lots"] == []

    def test_a_declined_card_then_a_good_one(self, either_shop: Shop) -> None:
        started = either_shop.start()
        either_shop.pay(started.session_id, DECLINED)
        (refused,) = either_shop.events("payment_intent.payment_failed")
        either_shop.deliver(refused)
        state = end_state()
        assert (state["orders"], state["lots"]) == ([("open", None)], [])
        assert state["payments"][0][0] == "failed" and state["payments"][0][3]
        either_shop.pay(started.session_id)
        for event in [*either_shop.events("checkout.session.completed"), refused]:
            either_shop.deliver(event | {"id": f"{event['id']}x"})
        assert end_state() == CREDITED

    def test_a_stale_look_at_it_takes_nothing_back(self, either_shop: Shop) -> None:
        started = either_shop.start()
        either_shop.pay(started.session_id, DECLINED)
        stale = either_shop.payments.checkout_session(started.session_id)
        assert stale.payment_intent_id is not None
        refused = either_shop.payments.payment_intent(stale.payment_intent_id)
        assert refused.failure and not stale.is_paid
        either_shop.pay(started.session_id)
        fulfil_checkout(started.session_id, "user:1", either_shop.payments)
        assert fulfilment._note_unpaid(stale, refused) == "paid"
        assert end_state() == CREDITED


class TestMismatch:
    @pytest.mark.parametrize(
        ("change", "word"),
        [
            ({"amount_subtotal": 100, "amount_total": 3500}, "amount"),
            ({"amount_subtotal": 9900}, "amount"),
            ({"amount_subtotal": None}, "amount"),
            ({"total_details__amount_discount": 500}, "discount"),
            ({"currency": "jpy"}, "currency"),
            ({"metadata__account": "another"}, "account"),
            ({"livemode": True}, "live"),
            ({"mode": "subscription"}, "mode"),
        ],
    )
    def test_credits_nothing_and_is_flagged(
        self, either_shop: Shop, change: dict[str, Any], word: str
    ) -> None:
        session_id = paid(either_shop)
        change_session(either_shop, session_id, **change)
        for event in either_shop.events(*TOLD):
            either_shop.deliver(event)
        assert fulfil_checkout(session_id, "user:1", either_shop.payments) == "flagged"
        state = end_state()
        assert (state["payments"], state["lots"], state["lines"]) == ([], [], [])
        assert state["orders"][0][0] == "flagged" and word in state["orders"][0][1]

    def test_tax_is_no_mismatch(self, shop: Shop) -> None:
        session_id = paid(shop)
        change_session(shop, session_id, amount_total=3780, total_details__amount_tax=280)
        assert fulfil_checkout(session_id, "user:1", shop.payments) == "paid"
        assert end_state()["payments"] == [("paid", 3780, 0, None)]

    def test_a_flagged_order_that_matches_after_all_is_credited(self, shop: Shop) -> None:
        session_id = paid(shop)
        change_session(shop, session_id, currency="eur")
        assert fulfil_checkout(session_id, "user:1", shop.payments) == "flagged"
        change_session(shop, session_id, currency="usd")
        assert fulfil_checkout(session_id, "user:1", shop.payments) == "paid"
        assert end_state() == CREDITED

    def test_a_second_session_of_one_order_is_told_to_the_operator(self, shop: Shop) -> None:
        session_id = paid(shop)
        fulfil_checkout(session_id, "user:1", shop.payments)
        twin = shop.server.store.get("checkout.session", session_id) | {"id": "cs_test_twin"}
        shop.server.store.put(twin)
        assert fulfil_checkout("cs_test_twin", "user:1", shop.payments) == "paid"
        state = end_state()
        assert state["lots"] == [(1000, 1000, 0, 0)]
        assert state["orders"][0][0] == "paid" and "cs_test_twin" in state["orders"][0][1]

    def test_a_balance_at_its_cap_is_flagged(self, shop: Shop) -> None:
        grant_credits(
            Incoming(account_id=shop.account_id, credit_type="credits", amount=MAX_UNITS, source="bonus",
                     actor="command")
        )  # fmt: skip
        session_id = paid(shop)
        assert fulfil_checkout(session_id, "user:1", shop.payments) == "flagged"
        assert balance_of(shop.account_id, "credits").balance == MAX_UNITS
        assert end_state()["payments"] == []

    def test_another_instances_session_is_left_alone(self, shop: Shop) -> None:
        session_id = paid(shop)
        change_session(shop, session_id, metadata__coffer_instance="another")
        assert fulfil_checkout(session_id, "user:1", shop.payments) == "foreign"
        assert end_state()["orders"] == [("open", None)]

    def test_an_order_that_is_not_here(self, shop: Shop) -> None:
        session_id = paid(shop)
        change_session(shop, session_id, metadata__order="lost", client_reference_id="lost")
        with pytest.raises(Conflict, match="not here"):
            fulfil_checkout(session_id, "user:1", shop.payments)

    def test_an_unpaid_session_whose_order_is_not_here_is_no_matter(self, shop: Shop) -> None:
        session_id = shop.start().session_id
        change_session(shop, session_id, metadata__order="lost", client_reference_id="lost")
        assert fulfil_checkout(session_id, "user:1", shop.payments) == "foreign"

    def test_no_session_at_all(self, shop: Shop) -> None:
        with pytest.raises(NotFound):
            fulfil_checkout("cs_test_none", "user:1", shop.payments)


class TestKilled:
    @pytest.mark.parametrize("step", ["_open_order", "_paid", "grant_credits"])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_at_each_step_credits_all_or_nothing(
        self, either_shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str, when: str
    ) -> None:
        session_id = paid(either_shop)
        inner: Callable[..., Any] = getattr(fulfilment, step)

        def dies(*args: Any) -> Any:
            if when == "after":
                inner(*args)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(fulfilment, step, dies)
            with pytest.raises(KeyboardInterrupt):
                fulfil_checkout(session_id, "user:1", either_shop.payments)
        state = end_state()
        assert (state["payments"], state["lots"], state["lines"]) == ([], [], [])
        fulfil_checkout(session_id, "user:1", either_shop.payments)
        assert end_state() == CREDITED


def at_once(shop: Shop, number: int, call: Callable[[], Any]) -> list[Any]:
    """Make a call in so many threads, released together."""
    gate = threading.Barrier(number)

    def run(_: int) -> Any:
        with shop.app.app_context():
            gate.wait()
            return call()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


class TestAtOnce:
    def test_many_who_notice_at_once_credit_once(self, either_shop: Shop) -> None:
        session_id = paid(either_shop)
        payments = either_shop.payments
        assert (
            at_once(either_shop, 12, lambda: fulfil_checkout(session_id, "user:1", payments)) == ["paid"] * 12
        )
        assert end_state() == CREDITED

    def test_one_form_sent_many_times_at_once_is_one_order(self, either_shop: Shop) -> None:
        started = at_once(either_shop, 6, either_shop.start)
        assert len(set(started)) == 1
        assert len(either_shop.sessions()) == 1
        assert end_state()["orders"] == [("open", None)]

    def test_one_event_delivered_many_times_at_once_is_kept_once(self, either_shop: Shop) -> None:
        paid(either_shop)
        (event,) = either_shop.events("checkout.session.completed")
        answers = at_once(either_shop, 8, lambda: either_shop.deliver(event).status_code)
        assert answers == [200] * 8
        assert list(inbox_states().values()) == ["processed"]
        assert end_state() == CREDITED


class TestManyPurchases:
    def test_shuffled_events_of_several_purchases(self, either_shop: Shop) -> None:
        randomness = random.Random(7)
        for number in range(6):
            started = either_shop.start("small", key=f"form-{number}")
            either_shop.pay(started.session_id, event_copies=2)
        told = [event for event in either_shop.events() for _ in range(2)]
        randomness.shuffle(told)
        for event in told:
            either_shop.deliver(event)
        state = end_state()
        assert state["lots"] == [(500, 500, 0, 0)] * 6
        assert state["orders"] == [("paid", None)] * 6
        assert balance_of(either_shop.account_id, "credits").total_purchased == 3000

    def test_accounts_do_not_mix(self, shop: Shop) -> None:
        first = shop.start(key="same")
        other = shop.account_id
        shop.account_id = make_account("other")
        second = shop.start("small", key="same")
        shop.pay(second.session_id)
        fulfil_checkout(second.session_id, "user:1", shop.payments)
        assert balance_of(other, "credits").balance == 0
        assert balance_of(shop.account_id, "credits").balance == 500
        statuses = {o.stripe_session_id: o.status for o in db.session.scalars(select(Order))}
        assert statuses == {first.session_id: "open", second.session_id: "paid"}

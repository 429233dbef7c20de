"""Subscriptions of the sandbox: begun by Checkout or by a call, renewed, changed, ended."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from sandbox import SandboxServer
from sandbox.billing_clock import advance
from sandbox.paying import pay_checkout, settle_debit
from tests.sandbox.conftest import BANK, DECLINED, GOOD, SECURE, event_types
from tests.sandbox.scene import LATER_DECLINED, Scene


@pytest.fixture
def scene(serving: Callable[..., SandboxServer]) -> Scene:
    return Scene(serving)


class TestBeginning:
    def test_a_call_bills_the_first_period(self, scene: Scene) -> None:
        subscription = scene.subscribe(metadata={"order": "o"}, expand=["latest_invoice.payments"])
        assert subscription.status == "active"
        assert scene.invoices() == [("subscription_create", 1000, "paid")]
        invoice: Any = subscription.latest_invoice
        assert invoice.parent.subscription_details.metadata["order"] == "o"
        assert invoice.payments.data[0].payment.payment_intent.startswith("pi_")
        assert scene.ends(subscription.id) == datetime(2026, 2, 28, 12, tzinfo=UTC)

    def test_a_declined_card_leaves_it_incomplete_or_nothing(self, scene: Scene) -> None:
        scene.use_card(LATER_DECLINED)
        assert scene.subscribe().status == "incomplete"
        with pytest.raises(stripe.CardError) as refusal:
            scene.subscribe(payment_behavior="error_if_incomplete")
        assert refusal.value.code == "card_declined"
        assert len(scene.client.v1.subscriptions.list({"status": "all"}).data) == 1
        scene.move(2026, 2, 1, 13)
        assert scene.client.v1.subscriptions.list({"status": "all"}).data[0].status == "incomplete_expired"
        assert scene.invoices() == [("subscription_create", 1000, "void")]
        again = scene.subscribe()
        scene.client.v1.invoices.void_invoice(str(again.latest_invoice))
        assert scene.subscription(again.id).status == "incomplete_expired"

    def test_checkout_makes_it_once_it_is_paid(self, scene: Scene) -> None:
        coupon = scene.client.v1.coupons.create({"percent_off": 20, "duration": "once"})
        session = scene.client.v1.checkout.sessions.create({
            "mode": "subscription", "success_url": "https://shop.test/ok", "customer": scene.customer,
            "line_items": [{"price": scene.month, "quantity": 1}], "discounts": [{"coupon": coupon.id}],
            "subscription_data": {"metadata": {"order": "o"}},
        })  # fmt: skip
        assert session.amount_total == 800
        assert "_refusal" in pay_checkout(scene.server.store, session.id, DECLINED)
        assert scene.client.v1.subscriptions.list({"status": "all"}).data == []
        assert pay_checkout(scene.server.store, session.id, SECURE)["_refusal"] == "requires_action"
        pay_checkout(scene.server.store, session.id, SECURE, authenticated=True)
        done = scene.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]})
        assert (done.status, done.payment_status, done.payment_intent) == ("complete", "paid", None)
        subscription: Any = done.subscription
        assert (subscription.status, subscription.metadata["order"]) == ("active", "o")
        assert scene.invoices() == [("subscription_create", 800, "paid")]
        assert "customer.subscription.created" in event_types(scene.client)
        scene.use_card(GOOD)
        scene.client.v1.subscriptions.update(
            subscription.id, {"default_payment_method": scene.use_card(GOOD)}
        )
        scene.move(2026, 2, 28, 13)
        assert scene.invoices()[-1] == ("subscription_cycle", 1000, "paid")  # the coupon was for once

    def by_debit(self, scene: Scene) -> str:
        """A subscription begun in Checkout with a bank debit; the session."""
        session = scene.client.v1.checkout.sessions.create({
            "mode": "subscription", "success_url": "https://shop.test/ok", "customer": scene.customer,
            "line_items": [{"price": scene.month, "quantity": 1}],
        })  # fmt: skip
        done = pay_checkout(scene.server.store, session.id, BANK)
        assert (done["status"], done["payment_status"]) == ("complete", "unpaid")
        assert scene.invoices() == [("subscription_create", 1000, "open")]
        return session.id

    def test_a_debit_pays_for_it_days_later(self, scene: Scene) -> None:
        session_id = self.by_debit(scene)
        settle_debit(scene.server.store, session_id)
        session = scene.client.v1.checkout.sessions.retrieve(session_id, {"expand": ["subscription"]})
        assert (session.payment_status, session.subscription.status) == ("paid", "active")  # type: ignore[union-attr]
        assert scene.invoices() == [("subscription_create", 1000, "paid")]
        assert event_types(scene.client)[-1] == "checkout.session.async_payment_succeeded"

    def test_a_debit_that_comes_back_leaves_it_past_due(self, scene: Scene) -> None:
        session_id = self.by_debit(scene)
        settle_debit(scene.server.store, session_id, succeeds=False)
        subscription = scene.client.v1.subscriptions.list({}).data[0]
        assert subscription.status == "past_due"
        assert "invoice.payment_failed" in event_types(scene.client)
        scene.client.v1.invoices.pay(str(subscription.latest_invoice), {"payment_method": "pm_card_visa"})
        assert scene.subscription(subscription.id).status == "active"

    def test_what_pays_is_kept_where_the_subscription_says_so(self, scene: Scene) -> None:
        settings: Any = {"save_default_payment_method": "on_subscription"}
        subscription = scene.subscribe(payment_behavior="default_incomplete", payment_settings=settings)
        assert subscription.status == "incomplete"
        given: Any = {"payment_method": "pm_card_mastercard"}
        scene.client.v1.invoices.pay(str(subscription.latest_invoice), given)
        kept = scene.subscription(subscription.id).default_payment_method
        method = scene.client.v1.payment_methods.retrieve(str(kept))
        assert (method.customer, method.card.last4) == (scene.customer, "4444")  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("given", "param"),
        [
            ({"mode": "subscription", "line_items": [{"price": "one_time", "quantity": 1}]}, None),
            (
                {"mode": "subscription", "payment_intent_data": {"metadata": {"a": "b"}}},
                "payment_intent_data",
            ),
            ({"mode": "payment", "subscription_data": {"metadata": {"a": "b"}}}, "subscription_data"),
            ({"mode": "setup"}, "line_items"),
            ({"mode": "setup", "line_items": None}, "currency"),
        ],
    )
    def test_what_does_not_fit_its_mode_is_refused(
        self, scene: Scene, given: dict, param: str | None
    ) -> None:
        once = scene.client.v1.prices.create(
            {"product_data": {"name": "Pack"}, "unit_amount": 900, "currency": "usd"}
        )
        lines = [{"price": scene.month, "quantity": 1}]
        given = {"success_url": "https://shop.test/ok", "line_items": lines, **given}
        if param is None:
            given["line_items"][0]["price"] = once.id
        if given["line_items"] is None:
            del given["line_items"]
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            scene.client.v1.checkout.sessions.create(given)  # type: ignore[arg-type]
        assert refusal.value.param == (param or "line_items[0]")


class TestTime:
    def test_the_thirty_first_does_not_drift(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        ends = [scene.ends(subscription.id)]
        for _ in range(13):
            scene.at = ends[-1]
            advance(scene.server.store)
            ends.append(scene.ends(subscription.id))
        assert [end.day for end in ends] == [28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28, 31]
        assert len(scene.invoices()) == 14

    def test_what_was_missed_is_caught_up(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.move(2026, 5, 1, 0)
        assert scene.invoices() == [("subscription_create", 1000, "paid")] + 3 * [
            ("subscription_cycle", 1000, "paid")
        ]
        assert scene.ends(subscription.id) == datetime(2026, 5, 31, 12, tzinfo=UTC)

    def test_a_failed_renewal_is_retried_and_then_ends_it(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.use_card(LATER_DECLINED)
        scene.move(2026, 2, 28, 13)
        assert scene.subscription(subscription.id).status == "past_due"
        attempts = []
        for day in (3, 5, 7):
            scene.move(2026, 3, day + 1, 0)
            attempts.append(scene.client.v1.invoices.list({}).data[0].attempt_count)
        assert attempts == [2, 3, 4]
        assert scene.subscription(subscription.id).status == "canceled"
        assert event_types(scene.client)[-1] == "customer.subscription.deleted"
        assert scene.invoices()[-1] == ("subscription_cycle", 1000, "open")

    def test_each_thing_happens_as_of_when_it_was_due(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.move(2026, 3, 30, 0)
        scene.use_card(LATER_DECLINED)
        scene.move(2026, 6, 30, 0)
        listed = scene.client.v1.invoices.list({}).data[::-1]
        made = [datetime.fromtimestamp(each.created, UTC) for each in listed]
        assert made == [datetime(2026, *day, 12, tzinfo=UTC) for day in ((1, 31), (2, 28), (3, 31))]
        ended = scene.subscription(subscription.id)
        assert (ended.status, listed[-1].attempt_count) == ("canceled", 4)
        assert ended.ended_at == int(datetime(2026, 4, 7, 12, tzinfo=UTC).timestamp())
        failed = scene.client.v1.events.list({"type": "invoice.payment_failed"}).data
        told = [event.data.object["next_payment_attempt"] for event in failed[::-1]]
        next_days = [datetime.fromtimestamp(at, UTC).day if at else None for at in told]
        assert next_days == [3, 5, 7, None]

    @pytest.mark.parametrize("call", ["void_invoice", "mark_uncollectible"])
    def test_it_goes_on_where_nobody_waits_for_the_invoice(self, scene: Scene, call: str) -> None:
        subscription = scene.subscribe()
        scene.use_card(LATER_DECLINED)
        scene.move(2026, 2, 28, 13)
        getattr(scene.client.v1.invoices, call)(str(scene.subscription(subscription.id).latest_invoice))
        assert scene.subscription(subscription.id).status == "active"
        scene.move(2026, 3, 20, 0)
        assert scene.subscription(subscription.id).status == "active"

    def test_a_bank_debit_is_settled_a_day_later(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.use_card(BANK)
        scene.move(2026, 2, 28, 13)
        assert scene.subscription(subscription.id).status == "active"
        assert scene.invoices()[-1] == ("subscription_cycle", 1000, "open")
        scene.move(2026, 3, 1, 13)
        assert scene.invoices()[-1] == ("subscription_cycle", 1000, "paid")

    def test_it_ends_with_its_customer(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.client.v1.customers.delete(scene.customer)
        assert scene.subscription(subscription.id).status == "canceled"
        scene.move(2026, 3, 1, 0)
        assert event_types(scene.client).count("invoice.created") == 1

    def test_a_new_card_mends_it_at_the_next_try(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.use_card(LATER_DECLINED)
        scene.move(2026, 2, 28, 13)
        scene.use_card(GOOD)
        scene.move(2026, 3, 4, 0)
        assert scene.subscription(subscription.id).status == "active"
        assert scene.invoices()[-1] == ("subscription_cycle", 1000, "paid")
        assert scene.ends(subscription.id) == datetime(2026, 3, 31, 12, tzinfo=UTC)

    def test_paying_the_open_invoice_mends_it_at_once(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.use_card(LATER_DECLINED)
        scene.move(2026, 2, 28, 13)
        invoice = scene.client.v1.invoices.list({"status": "open"}).data[0]
        with pytest.raises(stripe.CardError):
            scene.client.v1.invoices.pay(invoice.id)
        scene.client.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"})
        assert scene.subscription(subscription.id).status == "active"

    def test_a_cancelled_one_ends_with_its_period(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
        scene.client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
        marked = scene.client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
        assert (marked.status, marked.cancel_at_period_end) == ("active", True)
        scene.move(2026, 3, 1, 0)
        ended = scene.subscription(subscription.id)
        assert ended.status == "canceled"
        assert ended.ended_at == int(datetime(2026, 2, 28, 12, tzinfo=UTC).timestamp())
        assert len(scene.invoices()) == 1
        with pytest.raises(stripe.InvalidRequestError):
            scene.client.v1.subscriptions.cancel(subscription.id)


class TestChanging:
    def test_an_upgrade_is_billed_for_what_is_left(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.move(2026, 2, 14, 12)  # half of the 28 days
        at = int(scene.at.timestamp())
        item = subscription["items"].data[0].id
        preview = scene.client.v1.invoices.create_preview({
            "subscription": subscription.id,
            "subscription_details": {
                "items": [{"id": item, "price": scene.dear}], "proration_behavior": "always_invoice",
                "proration_date": at,
            },
        })  # fmt: skip
        assert [line.amount for line in preview.lines.data] == [-500, 1500]
        assert (preview.amount_due, len(scene.invoices())) == (1000, 1)
        scene.change(subscription, scene.dear, proration_behavior="always_invoice", proration_date=at,
                     payment_behavior="pending_if_incomplete")  # fmt: skip
        assert scene.invoices()[-1] == ("subscription_update", 1000, "paid")
        changed = scene.subscription(subscription.id)
        assert changed["items"].data[0].price.id == scene.dear
        assert scene.ends(subscription.id) == datetime(2026, 2, 28, 12, tzinfo=UTC)

    def test_a_declined_upgrade_waits_and_is_forgotten(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.use_card(LATER_DECLINED)
        with pytest.raises(stripe.CardError):
            scene.change(subscription, scene.dear, proration_behavior="always_invoice",
                         payment_behavior="error_if_incomplete")  # fmt: skip
        assert len(scene.invoices()) == 1
        left = scene.change(subscription, scene.dear, proration_behavior="always_invoice",
                            payment_behavior="pending_if_incomplete")  # fmt: skip
        assert left["items"].data[0].price.id == scene.month
        assert left.pending_update is not None
        assert left.pending_update.subscription_items[0].price.id == scene.dear  # type: ignore[index]
        scene.client.v1.invoices.void_invoice(str(left.latest_invoice))
        assert scene.subscription(subscription.id).pending_update is None
        scene.change(subscription, scene.dear, proration_behavior="always_invoice",
                     payment_behavior="pending_if_incomplete")  # fmt: skip
        scene.move(2026, 2, 1, 12)
        assert scene.subscription(subscription.id).pending_update is None
        assert [status for _, _, status in scene.invoices()] == ["paid", "void", "void"]

    def test_a_pending_upgrade_takes_effect_when_it_is_paid(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.use_card(SECURE)
        left = scene.change(subscription, scene.dear, proration_behavior="always_invoice",
                            payment_behavior="pending_if_incomplete")  # fmt: skip
        assert left.pending_update is not None
        scene.client.v1.invoices.pay(str(left.latest_invoice), {"payment_method": "pm_card_visa"})
        assert scene.subscription(subscription.id)["items"].data[0].price.id == scene.dear
        assert "customer.subscription.pending_update_applied" in event_types(scene.client)

    def test_a_change_that_may_stay_unpaid_is_retried(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.use_card(LATER_DECLINED)
        changed = scene.change(subscription, scene.dear, proration_behavior="always_invoice")
        assert (changed.status, changed["items"].data[0].price.id) == ("past_due", scene.dear)
        scene.use_card(GOOD)
        scene.move(2026, 2, 3, 13)
        assert scene.subscription(subscription.id).status == "active"
        assert scene.invoices()[-1] == ("subscription_update", 2000, "paid")

    def test_a_pending_change_ends_with_the_period(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.use_card(LATER_DECLINED)
        scene.move(2026, 2, 28, 6)
        left = scene.change(subscription, scene.year, payment_behavior="pending_if_incomplete")
        assert left.pending_update
        assert left.pending_update.expires_at == int(scene.ends(subscription.id).timestamp())
        scene.use_card(GOOD)
        scene.move(2026, 2, 28, 13)
        renewed = scene.subscription(subscription.id)
        assert (renewed.pending_update, renewed["items"].data[0].price.id) == (None, scene.month)
        assert [(total, status) for _, total, status in scene.invoices()][-1] == (1000, "paid")

    def test_without_proration_the_next_period_costs_the_new_price(self, scene: Scene) -> None:
        subscription = scene.subscribe(scene.dear)
        scene.change(subscription, scene.month, proration_behavior="none")
        assert len(scene.invoices()) == 1
        scene.move(2026, 3, 1, 0)
        assert scene.invoices()[-1] == ("subscription_cycle", 1000, "paid")

    def test_another_rhythm_begins_a_period_at_once(self, scene: Scene) -> None:
        subscription = scene.subscribe()
        scene.move(2026, 2, 14, 12)
        scene.change(subscription, scene.year, proration_behavior="always_invoice")
        assert scene.invoices()[-1] == ("subscription_update", 9500, "paid")
        assert scene.ends(subscription.id) == datetime(2027, 2, 14, 12, tzinfo=UTC)

    def test_a_prorated_downgrade_waits_for_the_next_invoice(self, scene: Scene) -> None:
        subscription = scene.subscribe(scene.dear)
        scene.move(2026, 2, 14, 12)
        scene.change(subscription, scene.month)
        assert len(scene.invoices()) == 1
        scene.move(2026, 3, 1, 0)
        assert scene.invoices()[-1] == ("subscription_cycle", 1000 - 1500 + 500, "paid")


class TestKeepingACard:
    def test_setup_mode_keeps_the_card_with_the_customer(self, scene: Scene) -> None:
        session = scene.client.v1.checkout.sessions.create({
            "mode": "setup", "currency": "usd", "customer": scene.customer,
            "success_url": "https://shop.test/ok", "setup_intent_data": {"metadata": {"order": "o"}},
        })  # fmt: skip
        assert pay_checkout(scene.server.store, session.id, DECLINED)["_refusal"] == "Your card was declined."
        assert pay_checkout(scene.server.store, session.id, SECURE)["_refusal"] == "requires_action"
        pay_checkout(scene.server.store, session.id, LATER_DECLINED)
        done = scene.client.v1.checkout.sessions.retrieve(
            session.id, {"expand": ["setup_intent.payment_method"]}
        )
        setup: Any = done.setup_intent
        assert (setup.status, setup.metadata["order"]) == ("succeeded", "o")
        assert (setup.payment_method.customer, setup.payment_method.card.last4) == (scene.customer, "0341")
        assert (done.payment_status, done.amount_total) == ("no_payment_required", None)

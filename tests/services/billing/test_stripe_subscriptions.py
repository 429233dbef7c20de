"""Subscriptions through Stripe: begun, renewed, failed and mended, changed, ended; events in any order."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from errors import AccountFrozen, Conflict, InvalidRequest, PaymentDeclined
from extensions import db
from models.accounts import Account
from models.billing import Order, SavedCard
from models.catalog import Plan
from sandbox.billing_clock import advance
from sandbox.paying import authenticate_invoice, pay_open_invoice
from services.billing.cards import saved_card
from services.billing.plan_changes import (
    cancel_subscription,
    cancellation_losses,
    change_plan,
    preview_change,
    resume_subscription,
    withdraw_pending_change,
)
from services.billing.purchases import start_subscription
from services.billing.reconcile import reconcile
from services.billing.stripe_sync import sync_catalog
from services.ledger.debits import Spend, spend_credits
from tests.conftest import assert_ledger_is_whole
from tests.services.billing.subscriber import ASKS, LATER_DECLINED, Subscriber, subscriber_at, utc
from tests.shop import DECLINED

START = utc(2027, 12, 31, 9)


@pytest.fixture
def someone(app: Flask, tmp_path: Path) -> Iterator[Subscriber]:
    with subscriber_at(app, tmp_path, START, "shelf") as subscriber:
        yield subscriber


@pytest.fixture
def either(either_app: Flask, tmp_path: Path) -> Iterator[Subscriber]:
    with subscriber_at(either_app, tmp_path, START, "shelf") as subscriber:
        yield subscriber


def change(someone: Subscriber, plan: str, interval: str = "month", **more: object) -> str:
    outcome = change_plan(
        someone.account_id, plan, interval, request_key=someone.form(), actor="user:1",
        payments=someone.shop.payments, **more,
    )  # type: ignore[arg-type]  # fmt: skip
    someone.hear()
    return outcome.status


class TestBeginning:
    def test_the_first_month_is_cheaper_and_brings_its_credits(self, either: Subscriber) -> None:
        either.subscribe("basic")
        view = either.view()
        assert (view.status, view.plan, view.is_stripe) == ("active", "basic", True)
        assert view.current_period_end == utc(2028, 1, 31, 9)
        assert either.payments() == [("paid", 800)]
        assert either.lots() == [(280, utc(2028, 2, 3, 9))]
        order = db.session.scalars(select(Order)).one()
        assert (order.kind, order.status, order.price_cents) == ("subscription", "paid", 800)
        assert saved_card(either.account_id).last4 == "4242"
        assert_ledger_is_whole()

    def test_a_declined_card_begins_nothing(self, someone: Subscriber) -> None:
        someone.subscribe("pro", card=DECLINED)
        assert (someone.view().status, someone.payments(), someone.lots()) == (None, [], [])

    def test_the_offer_is_for_the_first_time_by_the_month(self, someone: Subscriber) -> None:
        someone.subscribe("basic", "year")
        assert someone.payments() == [("paid", 10000)]
        cancel_subscription(someone.account_id, request_key="c", actor="u", payments=someone.shop.payments)
        someone.move(utc(2029, 1, 1))
        assert someone.view().status is None
        someone.subscribe("basic")
        assert someone.payments()[-1] == ("paid", 1000)

    def test_who_subscribes_already_is_told_to_change(self, someone: Subscriber) -> None:
        someone.subscribe("basic")
        with pytest.raises(Conflict):
            someone.subscribe("pro")

    def test_two_tabs_leave_one_checkout_that_can_be_paid(self, someone: Subscriber) -> None:
        def start(plan: str) -> str:
            return start_subscription(
                someone.account_id, plan, "month", request_key=plan, actor="u", payments=someone.shop.payments
            ).session_id

        first, second = start("basic"), start("pro")
        states = {each["id"]: each["status"] for each in someone.shop.sessions()}
        assert (states[first], states[second]) == ("expired", "open")

    @pytest.mark.parametrize(
        ("plan", "interval", "field"),
        [("free", "month", "interval"), ("basic", "week", "interval")],
    )
    def test_what_is_not_sold(self, someone: Subscriber, plan: str, interval: str, field: str) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            someone.subscribe(plan, interval)
        assert refusal.value.problem()["errors"][0]["field"] == field


class TestThirteenMonths:
    def test_by_the_month_from_the_thirty_first(self, either: Subscriber) -> None:
        either.subscribe("basic")
        ends = []
        for _ in range(13):
            ends.append(either.view().current_period_end)
            either.move(ends[-1])
        assert [(end.month, end.day) for end in ends] == [
            (1, 31), (2, 29), (3, 31), (4, 30), (5, 31), (6, 30), (7, 31), (8, 31), (9, 30), (10, 31),
            (11, 30), (12, 31), (1, 31),
        ]  # fmt: skip
        assert either.amounts() == [280] * 14
        assert either.payments() == [("paid", 800)] + [("paid", 1000)] * 13

    def test_by_the_year_with_credits_each_month(self, either: Subscriber) -> None:
        either.subscribe("pro", "year")
        for month in range(1, 15):
            either.move(utc(2028 + (month > 12), (month - 1) % 12 + 1, 1, 9))
        # 31 December, then the last days of January to November, and 31 December and January again.
        assert either.amounts() == [1120] * 14
        assert either.payments() == [("paid", 30000)] * 2
        assert either.lots()[2][1] == utc(2028, 4, 3, 9)  # granted on 29 February, until 31 March and 3 days
        either.move(utc(2029, 2, 1, 10))
        assert either.amounts() == [1120] * 14


class TestFailing:
    def test_a_failed_renewal_keeps_credits_and_is_mended_by_a_card(self, either: Subscriber) -> None:
        either.subscribe("basic")
        either.use_card(LATER_DECLINED)
        either.move(utc(2028, 1, 31, 10))
        view = either.view()
        assert (view.status, either.status(), view.has_active_subscription) == ("past_due", "past_due", True)
        assert view.past_due_since is not None and view.hosted_invoice_url
        assert either.payments()[-1] == ("failed", 1000)
        assert either.amounts() == [280]
        spend_credits(Spend(account_id=either.account_id, credit_type="credits", amount=30, actor="user:1"))
        either.use_card("4242424242424242")
        assert (either.view().status, either.status()) == ("active", "active")
        assert (either.payments()[-1], either.amounts()) == (("paid", 1000), [280, 280])
        assert either.view().current_period_end == utc(2028, 2, 29, 9)
        assert_ledger_is_whole()

    def test_the_hosted_page_mends_it_too(self, someone: Subscriber) -> None:
        someone.subscribe("basic")
        someone.use_card(ASKS)
        someone.move(utc(2028, 1, 31, 10))
        assert "confirm" in (someone.view().hosted_invoice_url or "") or someone.view().status == "past_due"
        invoice = next(i for i in someone.shop.server.store.all("invoice") if i["status"] == "open")
        pay_open_invoice(someone.shop.server.store, invoice["id"], ASKS)
        authenticate_invoice(someone.shop.server.store, invoice["id"])
        someone.hear()
        assert (someone.view().status, someone.amounts()) == ("active", [280, 280])

    def test_after_the_last_try_it_is_over(self, someone: Subscriber) -> None:
        someone.subscribe("basic")
        someone.use_card(LATER_DECLINED)
        someone.move(utc(2028, 1, 31, 10))
        for day in (4, 6, 8):
            someone.move(utc(2028, 2, day))
        assert (someone.view().status, someone.view().plan, someone.status()) == (None, "free", "active")
        assert someone.rows() == [("canceled", "month")]
        assert someone.amounts() == [280]


class TestChanging:
    def test_an_upgrade_now_brings_the_share_of_the_month(self, either: Subscriber) -> None:
        either.subscribe("basic")
        either.move(utc(2028, 1, 31, 9))
        either.move(utc(2028, 2, 14, 21))  # half of the 29 days
        preview = preview_change(either.account_id, "pro", "month", either.shop.payments)
        assert (preview.effect, preview.amount_due_cents, preview.credits_now) == ("now", 1000, 420)
        assert change(
            either, "pro", prorated_at=preview.prorated_at, expected_cents=preview.amount_due_cents
        ) == "changed"  # fmt: skip
        assert either.lots()[-1] == (420, utc(2028, 3, 3, 9))
        assert either.payments()[-1] == ("paid", 1000)
        view = either.view()
        assert (view.plan, view.current_period_end) == ("pro", utc(2028, 2, 29, 9))
        either.move(utc(2028, 2, 29, 9))
        assert (either.amounts(), either.payments()[-1]) == ([280, 280, 420, 1120], ("paid", 3000))

    def test_a_declined_upgrade_changes_nothing(self, either: Subscriber) -> None:
        either.subscribe("basic")
        either.use_card(LATER_DECLINED)
        with pytest.raises(PaymentDeclined):
            change(either, "pro")
        either.hear()
        assert (either.view().plan, either.amounts(), either.status()) == ("basic", [280], "active")
        either.use_card("4242424242424242")
        assert change(either, "pro") == "changed"

    def test_an_upgrade_that_the_bank_asks_about(self, someone: Subscriber) -> None:
        someone.subscribe("basic")
        someone.use_card(ASKS)
        assert change(someone, "pro") == "requires_action"
        assert (someone.view().plan, someone.amounts()) == ("basic", [280])
        invoice = next(i for i in someone.shop.server.store.all("invoice") if i["status"] == "open")
        pay_open_invoice(someone.shop.server.store, invoice["id"], ASKS)
        authenticate_invoice(someone.shop.server.store, invoice["id"])
        someone.hear()
        assert (someone.view().plan, someone.amounts()) == ("pro", [280, 840])

    def test_what_is_due_must_be_what_was_agreed_to(self, someone: Subscriber) -> None:
        someone.subscribe("basic")
        preview = preview_change(someone.account_id, "pro", "month", someone.shop.payments)
        with pytest.raises(Conflict):
            change(someone, "pro", prorated_at=preview.prorated_at, expected_cents=1)
        assert someone.view().plan == "basic"

    @pytest.mark.parametrize("minutes", [-16, 1, 60 * 24 * 30])
    def test_no_instant_can_be_chosen_at_which_less_is_due(self, someone: Subscriber, minutes: int) -> None:
        someone.subscribe("basic")
        someone.move(utc(2028, 1, 1))
        with pytest.raises(Conflict):
            change(someone, "pro", prorated_at=utc(2028, 1, 1) + timedelta(minutes=minutes))
        assert someone.view().plan == "basic"

    def test_a_declined_upgrade_leaves_the_pending_change(self, someone: Subscriber) -> None:
        someone.subscribe("pro")
        change(someone, "basic")
        someone.use_card(LATER_DECLINED)
        with pytest.raises(PaymentDeclined):
            change(someone, "max")
        someone.hear()
        assert (someone.view().plan, someone.view().pending_plan) == ("pro", "basic")
        (subscription,) = someone.shop.server.store.all("subscription")
        assert subscription["items"]["data"][0]["price"]["unit_amount"] == 1000

    def test_a_frozen_account_changes_nothing(self, someone: Subscriber) -> None:
        someone.subscribe("basic")
        db.session.get_one(Account, someone.account_id).status = "frozen"
        db.session.commit()
        with pytest.raises(AccountFrozen):
            change(someone, "pro")

    def test_a_form_sent_twice_changes_once(self, someone: Subscriber) -> None:
        someone.subscribe("basic")
        given = {"request_key": "one", "actor": "u", "payments": someone.shop.payments, "prorated_at": START}
        change_plan(someone.account_id, "pro", "month", **given)
        with pytest.raises(Conflict):
            change_plan(someone.account_id, "pro", "month", **given)
        someone.hear()
        assert (someone.amounts(), len(someone.payments())) == ([280, 840], 2)

    def test_a_downgrade_waits_for_the_period(self, either: Subscriber) -> None:
        either.subscribe("pro")
        assert change(either, "basic") == "pending"
        view = either.view()
        assert (view.plan, view.pending_plan, view.pending_at) == ("pro", "basic", utc(2028, 1, 31, 9))
        assert view.credits_per_month == 1120
        either.move(utc(2028, 1, 31, 9))
        view = either.view()
        assert (view.plan, view.pending_plan, either.payments()[-1]) == ("basic", None, ("paid", 1000))
        assert either.amounts() == [1120, 280]

    def test_a_pending_change_can_be_withdrawn_or_replaced(self, someone: Subscriber) -> None:
        someone.subscribe("pro", "year")
        assert change(someone, "basic", "year") == "pending"
        withdraw_pending_change(
            someone.account_id, request_key="w", actor="u", payments=someone.shop.payments
        )
        assert someone.view().pending_plan is None
        assert change(someone, "basic", "month") == "pending"
        assert (someone.view().pending_interval, someone.view().cancel_at_period_end) == ("month", False)
        assert change(someone, "basic", "year") == "pending"
        someone.move(utc(2028, 12, 31, 9))
        assert (someone.view().plan, someone.view().interval) == ("basic", "year")
        assert someone.payments()[-1] == ("paid", 10000)

    def test_from_the_year_to_the_month_with_the_kept_card(self, either: Subscriber) -> None:
        either.subscribe("pro", "year")
        change(either, "pro", "month")
        either.move(utc(2028, 12, 31, 9))
        view = either.view()
        assert (view.plan, view.interval, view.status) == ("pro", "month", "active")
        assert either.rows() == [("canceled", "year"), ("active", "month")]
        assert either.payments()[-1] == ("paid", 3000)

    def test_from_the_month_to_the_year_begins_a_period_at_once(self, either: Subscriber) -> None:
        either.subscribe("basic")
        either.move(utc(2028, 1, 31, 9))
        either.move(utc(2028, 2, 14, 21))
        assert change(either, "pro", "year") == "changed"
        assert either.payments()[-1] == ("paid", 30000 - 500)
        assert either.amounts() == [280, 280, 1120 - 140]
        assert either.view().current_period_end == utc(2029, 2, 14, 21)
        either.move(utc(2028, 3, 14, 21))
        assert either.amounts()[3:] == [1120]

    def test_an_upgrade_and_a_pending_downgrade_in_one_month(self, either: Subscriber) -> None:
        either.subscribe("basic")
        either.move(utc(2028, 1, 10))
        change(either, "pro")
        either.move(utc(2028, 1, 20))
        change(either, "basic")
        assert (either.view().plan, either.view().pending_plan) == ("pro", "basic")
        either.move(utc(2028, 1, 31, 9))
        assert (either.view().plan, either.amounts()[-1]) == ("basic", 280)
        assert either.payments()[-1] == ("paid", 1000)


class TestEnding:
    def test_cancelled_it_lasts_until_the_period_is_over(self, someone: Subscriber) -> None:
        someone.subscribe("basic")
        losses = cancellation_losses(someone.account_id)
        assert (losses.ends_at, losses.credits, losses.falls_back_to) == (utc(2028, 1, 31, 9), 280, "Free")
        given = {"actor": "u", "payments": someone.shop.payments}
        cancel_subscription(someone.account_id, request_key="1", **given)
        assert someone.view().cancel_at_period_end
        resume_subscription(someone.account_id, request_key="2", **given)
        assert not someone.view().cancel_at_period_end
        cancel_subscription(someone.account_id, request_key="3", **given)
        someone.move(utc(2028, 2, 1))
        assert (someone.view().plan, someone.rows()) == ("free", [("canceled", "month")])
        assert someone.balance() == 280  # three more days
        with pytest.raises(Conflict):
            resume_subscription(someone.account_id, request_key="4", **given)


class TestEvents:
    @pytest.mark.parametrize("seed", range(6))
    def test_any_order_and_any_repetition_leave_the_same_state(self, someone: Subscriber, seed: int) -> None:
        """The whole of a life is lived before a single event comes."""
        started = start_subscription(
            someone.account_id, "basic", "month", request_key="f", actor="u", payments=someone.shop.payments
        )
        someone.shop.pay(started.session_id)
        someone.clock.move_to(utc(2028, 1, 31, 9))
        advance(someone.shop.server.store)
        events = [event for event in someone.shop.events() for _ in range(2)]
        random.Random(seed).shuffle(events)
        for event in events:
            assert someone.shop.deliver(event).status_code == 200
        someone.hear()
        assert someone.payments() == [("paid", 800), ("paid", 1000)]
        assert someone.amounts() == [280, 280]
        assert (someone.view().status, someone.view().current_period_end) == ("active", utc(2028, 2, 29, 9))
        assert_ledger_is_whole()

    def test_what_was_never_told_is_found_by_comparing(self, someone: Subscriber) -> None:
        started = start_subscription(
            someone.account_id, "basic", "month", request_key="f", actor="u", payments=someone.shop.payments
        )
        someone.shop.pay(started.session_id)
        report = reconcile(someone.shop.payments)
        assert report.open_findings == 0
        assert (someone.payments(), someone.amounts()) == ([("paid", 800)], [280])

    def test_a_refund_takes_back_what_is_left_of_the_month(self, someone: Subscriber) -> None:
        someone.subscribe("pro")
        spend_credits(Spend(account_id=someone.account_id, credit_type="credits", amount=120, actor="user:1"))
        intent = next(iter(someone.shop.server.store.all("payment_intent")))["id"]
        someone.shop.payments._client.v1.refunds.create({"payment_intent": intent, "amount": 1500})
        someone.hear()
        assert someone.payments() == [("partially_refunded", 3000)]
        assert someone.balance() == 1120 - 120 - 560
        assert_ledger_is_whole()

    def test_a_refund_that_is_told_first_is_recorded_all_the_same(self, someone: Subscriber) -> None:
        started = start_subscription(
            someone.account_id, "pro", "month", request_key="f", actor="u", payments=someone.shop.payments
        )
        someone.shop.pay(started.session_id)
        intent = next(iter(someone.shop.server.store.all("payment_intent")))["id"]
        someone.shop.payments._client.v1.refunds.create({"payment_intent": intent})
        (told,) = someone.shop.events("charge.refunded")
        someone.shop.deliver(told)
        assert (someone.payments(), someone.balance()) == ([("refunded", 3000)], 0)
        someone.hear()
        assert (someone.payments(), someone.balance()) == ([("refunded", 3000)], 0)


class TestCards:
    def test_consent_is_kept_and_a_card_taken_away_is_forgotten(self, someone: Subscriber) -> None:
        someone.subscribe("basic")
        someone.use_card("5555555555554444")
        card = db.session.scalars(select(SavedCard)).one()
        assert (card.last4, card.consented_by) == ("4444", "user:1")
        someone.shop.payments._client.v1.payment_methods.detach(card.stripe_payment_method_id)
        someone.hear()
        assert saved_card(someone.account_id) is None


class TestSync:
    def test_twice_is_once_and_a_changed_price_replaces_the_old(self, someone: Subscriber) -> None:
        first = sync_catalog(someone.shop.payments, "shelf")
        assert (first.products, first.prices, first.coupons) == (3, 6, 1)
        assert sync_catalog(someone.shop.payments, "shelf").changed == []
        someone.subscribe("pro")
        plan = db.session.scalars(
            select(Plan).where(Plan.code == "pro", Plan.annual_price_cents == 30000)
        ).one()
        old = plan.stripe_monthly_price_id
        plan.monthly_price_cents = 4000
        db.session.commit()
        assert sync_catalog(someone.shop.payments, "shelf").changed == ["shelf/pro"]
        prices = {price["id"]: price for price in someone.shop.server.store.all("price")}
        assert (prices[old]["active"], prices[old]["lookup_key"]) == (False, None)
        someone.move(utc(2028, 1, 31, 9))
        assert someone.payments() == [("paid", 3000), ("paid", 3000)]  # who subscribes keeps the price
        assert someone.view().plan == "pro"

"""Subscriptions when something is missed, lost or late: no paid month and no paid plan is taken away."""

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from errors import PaymentProviderUnavailable
from extensions import db
from models.billing import SubscriptionMonth
from sandbox.billing_clock import advance
from sandbox.faults import Fault
from services.billing.plan_changes import change_plan
from services.billing.purchases import start_card_setup, start_subscription
from services.billing.reconcile import reconcile
from services.billing.stripe_subscriptions import follow_subscription
from services.billing.subscriptions import grant_monthly_credits
from tests.conftest import assert_ledger_is_whole
from tests.services.billing.subscriber import LATER_DECLINED, Subscriber, subscriber_at, utc
from tests.shop import GOOD

START = utc(2027, 12, 31, 9)
SHARE = 840 * 16 // 31  # of 840 credits for what is left of January on the 15th


@pytest.fixture
def someone(app: Flask, tmp_path: Path) -> Iterator[Subscriber]:
    with subscriber_at(app, tmp_path, START, "shelf") as subscriber:
        yield subscriber


@pytest.fixture
def either(either_app: Flask, tmp_path: Path) -> Iterator[Subscriber]:
    with subscriber_at(either_app, tmp_path, START, "shelf") as subscriber:
        yield subscriber


def change(someone: Subscriber, plan: str, interval: str = "month") -> None:
    change_plan(
        someone.account_id, plan, interval, request_key=someone.form(), actor="user:1",
        payments=someone.shop.payments,
    )  # fmt: skip


def stripe_id(someone: Subscriber) -> str:
    return next(iter(someone.shop.server.store.all("subscription")))["id"]


class TestADowngradeWithoutAnAnswer:
    @pytest.mark.parametrize("kind", ["effect_then_reset", "effect_then_500", "500"])
    def test_the_paid_plan_stays_until_the_period_ends(self, someone: Subscriber, kind: str) -> None:
        someone.subscribe("pro")
        someone.shop.server.faults.plan(Fault(kind, times=9, path="/v1/subscriptions/"))
        with suppress(PaymentProviderUnavailable):
            change(someone, "basic")
        someone.shop.server.faults.clear()
        someone.hear()
        assert (someone.view().plan, someone.view().pending_plan) == ("pro", "basic")
        reconcile(someone.shop.payments)
        someone.move(utc(2028, 1, 31, 10))
        assert (someone.view().plan, someone.payments()[-1]) == ("basic", ("paid", 1000))

    def test_it_replaces_the_one_that_was_pending(self, someone: Subscriber) -> None:
        someone.subscribe("max")
        change(someone, "pro")
        someone.hear()
        someone.shop.server.faults.plan(Fault("500", times=9, path="/v1/subscriptions/"))
        with pytest.raises(PaymentProviderUnavailable):
            change(someone, "basic")
        someone.shop.server.faults.clear()
        reconcile(someone.shop.payments)
        assert (someone.view().plan, someone.view().pending_plan) == ("max", "basic")
        someone.move(utc(2028, 1, 31, 10))
        assert (someone.view().plan, someone.payments()[-1]) == ("basic", ("paid", 1000))


def test_one_that_ended_before_anything_was_heard_of_it_was_paid_for(either: Subscriber) -> None:
    begun = start_subscription(
        either.account_id, "basic", "month", request_key="f", actor="user:1", payments=either.shop.payments
    )
    either.shop.pay(begun.session_id)
    either.shop.payments._client.v1.subscriptions.cancel(stripe_id(either))
    either.hear()
    assert (either.payments(), either.amounts()) == ([("paid", 800)], [280])
    assert (either.rows(), either.view().status) == ([("canceled", "month")], None)
    assert_ledger_is_whole()


class TestAMonthThatTheJobMissed:
    def months(self) -> list[object]:
        db.session.rollback()
        return sorted(db.session.scalars(select(SubscriptionMonth.starts_at)))

    def test_it_is_made_up_for_when_the_next_year_begins(self, someone: Subscriber) -> None:
        someone.subscribe("pro", "year")
        for month in range(1, 11):
            someone.move(utc(2028, month, 1, 9))
        someone.clock.move_to(utc(2028, 12, 31, 10))  # no job has run since the first of October
        advance(someone.shop.server.store)
        someone.hear()
        grant_monthly_credits()
        # October's credits would be over by now; those of 30 November live until 3 January.
        assert self.months()[-2:] == [utc(2028, 11, 30, 9), utc(2028, 12, 31, 9)]
        assert utc(2028, 10, 31, 9) not in self.months()
        assert_ledger_is_whole()

    def test_it_is_of_the_plan_it_was_paid_for(self, either: Subscriber) -> None:
        either.subscribe("basic", "year")
        either.clock.move_to(utc(2028, 2, 10))  # the month of 31 January was missed
        advance(either.shop.server.store)
        either.hear()
        change(either, "pro", "year")
        either.hear()
        grant_monthly_credits()
        assert either.amounts()[:2] == [280, 280]
        assert 500 < either.amounts()[2] < 600  # 840 for some nineteen of twenty-nine days
        assert len(either.amounts()) == 3
        assert_ledger_is_whole()

    def test_a_leap_day_counts_once(self, app: Flask, tmp_path: Path) -> None:
        with subscriber_at(app, tmp_path, utc(2028, 2, 29, 9), "shelf") as someone:
            someone.subscribe("pro", "year")
            for number in range(1, 26):
                year, month = divmod(1 + number, 12)
                someone.move(utc(2028 + year, month + 1, 29 if month != 1 else 28, 10))
            assert len(someone.amounts()) == 26 == len(set(self.months()))


def test_an_answer_that_was_long_under_way_undoes_nothing(
    someone: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone.subscribe("basic")
    someone.clock.move_to(utc(2028, 1, 15, 9))
    payments, reads = someone.shop.payments, []
    ask = payments.invoices_of

    def slowly(subscription_id: str) -> object:
        """The first reading is overtaken: between its two questions the plan is changed and that is heard."""
        answer = ask(subscription_id)
        reads.append(subscription_id)
        if len(reads) == 1:
            change(someone, "pro")
            someone.hear()
        return answer

    monkeypatch.setattr(payments, "invoices_of", slowly)
    assert follow_subscription(stripe_id(someone), "test", payments)
    assert someone.view().plan == "pro"
    assert someone.amounts() == [280, SHARE]


@pytest.mark.parametrize("seed", range(4))
def test_a_whole_life_in_any_order_is_the_same(either: Subscriber, seed: int) -> None:
    """An upgrade and a pending downgrade in one month, a failed renewal, another card; each event twice."""
    heard: list[dict[str, object]] = []

    def hear_in_disorder() -> None:
        known = {event["id"] for event in heard}
        heard.extend(event for event in either.shop.events() if event["id"] not in known)
        events = heard * 2
        random.Random(seed).shuffle(events)
        for event in events:
            assert either.shop.deliver(event).status_code == 200
        assert_ledger_is_whole()

    def use_card(number: str, form: str) -> None:
        started = start_card_setup(
            either.account_id, request_key=form, actor="user:1", payments=either.shop.payments
        )
        either.shop.pay(started.session_id, number, authenticated=True)
        hear_in_disorder()

    begun = start_subscription(
        either.account_id, "basic", "month", request_key="s", actor="user:1", payments=either.shop.payments
    )
    either.shop.pay(begun.session_id)
    hear_in_disorder()
    either.clock.move_to(utc(2028, 1, 15, 9))
    advance(either.shop.server.store)
    change(either, "pro")
    change(either, "basic")
    use_card(LATER_DECLINED, "bad card")
    either.clock.move_to(utc(2028, 1, 31, 10))
    advance(either.shop.server.store)
    hear_in_disorder()
    assert either.status() == "past_due"
    use_card(GOOD, "good card")
    assert either.payments() == [("paid", 800), ("paid", 1135), ("paid", 1000)]
    assert either.amounts() == [280, SHARE, 280]
    assert (either.view().plan, either.view().status, either.status()) == ("basic", "active", "active")

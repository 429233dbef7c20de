"""What other programs are told of payments, subscriptions and limits: with the fact, once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from extensions import db
from models.catalog import Catalog
from models.outgoing import OutgoingEvent
from services.billing.funds import Funding, add_funds_by_hand
from services.billing.plan_changes import cancel_subscription, change_plan, withdraw_pending_change
from services.billing.purchases import fulfil_checkout
from services.billing.subscriptions import set_plan
from services.catalog.presets import load_preset
from services.ledger.grants import Incoming, grant_credits
from services.notices.notices import set_threshold
from services.notices.sweeps import sweep_all
from services.unit_of_work import atomic
from services.usage.meters import Increment, record_usage
from tests.conftest import make_account
from tests.services.billing.subscriber import LATER_DECLINED, Subscriber, subscriber_at, utc
from tests.shop import CATALOGS, DECLINED, Shop, open_shop


@pytest.fixture
def shop(either_app: Flask, tmp_path: Path) -> Iterator[Shop]:
    with open_shop(either_app, tmp_path) as opened:
        yield opened


@pytest.fixture
def someone(either_app: Flask, tmp_path: Path) -> Iterator[Subscriber]:
    with subscriber_at(either_app, tmp_path, utc(2027, 12, 31, 9), "shelf") as subscriber:
        yield subscriber


def told(*types: str) -> list[dict[str, Any]]:
    """The data of every event of these types, oldest first."""
    db.session.rollback()
    rows = db.session.scalars(select(OutgoingEvent).order_by(OutgoingEvent.id))
    return [json.loads(row.data) for row in rows if row.type in types]


def test_a_checkout_is_told_once_however_often_it_is_heard_of(shop: Shop) -> None:
    started = shop.start()
    shop.pay(started.session_id)
    for event in shop.events() * 3:
        shop.deliver(event)
    fulfil_checkout(started.session_id, "user:1", shop.payments)
    (paid,) = told("payment.succeeded")
    assert (paid["amount_cents"], paid["currency"], paid["kind"]) == (3500, "usd", "package")
    assert paid["failure"] is None and paid["stripe_payment_intent_id"]
    assert told("payment.failed") == []


def test_a_refusal_and_then_a_success(shop: Shop) -> None:
    started = shop.start()
    shop.pay(started.session_id, DECLINED)
    for event in shop.events() * 2:
        shop.deliver(event)
    fulfil_checkout(started.session_id, "user:1", shop.payments)
    refused = told("payment.failed")
    assert [bool(each["failure"]) for each in refused] == [True]
    shop.pay(started.session_id)
    fulfil_checkout(started.session_id, "user:1", shop.payments)
    assert [each["payment_id"] for each in told("payment.succeeded")] == [refused[0]["payment_id"]]


def test_money_added_by_hand(either_app: Flask) -> None:
    load_preset(CATALOGS / "messaging.toml")
    account_id = make_account("sms", catalog_id=db.session.scalar(select(Catalog.id)))
    add_funds_by_hand(Funding(account_id=account_id, amount=100_000, actor="key:1"), "bank-1")
    assert [(p["kind"], p["amount_cents"]) for p in told("payment.succeeded")] == [("manual", 1000)]


def test_a_subscription_from_its_begin_to_its_end(someone: Subscriber) -> None:
    someone.subscribe("pro")
    (begun,) = told("subscription.changed")
    assert (begun["plan"], begun["status"], begun["previous"]) == ("pro", "active", {})
    assert told("payment.succeeded")[0]["plan"] == "pro"
    someone.hear()
    assert len(told("subscription.changed")) == 1
    how = {"request_key": someone.form(), "actor": "user:1", "payments": someone.shop.payments}
    change_plan(someone.account_id, "basic", "month", **how)
    planned = told("subscription.changed")[-1]
    assert (planned["plan"], planned["pending_plan"]) == ("pro", "basic")
    assert planned["previous"] == {"pending_plan": None, "pending_interval": None}
    withdraw_pending_change(someone.account_id, **{**how, "request_key": someone.form()})
    assert told("subscription.changed")[-1]["previous"]["pending_plan"] == "basic"
    cancel_subscription(someone.account_id, **{**how, "request_key": someone.form()})
    assert told("subscription.changed")[-1]["previous"] == {"cancel_at_period_end": False}
    someone.move(utc(2028, 2, 1))
    ended = told("subscription.changed")[-1]
    assert ended["ended_at"] and ended["previous"]["ended_at"] is None


def test_a_renewal_that_fails(someone: Subscriber) -> None:
    someone.subscribe("basic")
    someone.use_card(LATER_DECLINED)
    someone.move(utc(2028, 1, 31, 10))
    (refused,) = told("payment.failed")
    assert (refused["kind"], refused["amount_cents"], refused["plan"]) == ("subscription", 1000, "basic")
    changed = told("subscription.changed")[-1]
    assert changed["status"] == "past_due" and changed["previous"]["status"] == "active"


def test_a_plan_that_is_given_and_taken(someone: Subscriber) -> None:
    set_plan(someone.account_id, "basic")
    set_plan(someone.account_id, "basic")
    set_plan(someone.account_id, "free")
    assert [(each["plan"], each["status"]) for each in told("subscription.changed")] == [
        ("basic", "comped"), ("basic", "canceled"),
    ]  # fmt: skip


def test_limits_and_balances(either_app: Flask) -> None:
    load_preset(CATALOGS / "devtools.toml")
    catalog = db.session.scalars(select(Catalog)).one()
    account_id = make_account("acme", catalog_id=catalog.id)
    record_usage(Increment(account_id=account_id, meter="predictions", quantity=85, actor="t"))
    (warning,) = told("limit.warning")
    assert (warning["meter"], warning["step"], warning["used"], warning["limit"]) == ("predictions", 80, 85, 100)
    grant_credits(
        Incoming(account_id=account_id, credit_type="credits", amount=10, source="bonus", actor="t",
                 expires_at=utc(2099, 1, 1))
    )  # fmt: skip
    set_threshold(account_id, 1, 50, "user:1")
    for _ in range(2):
        sweep_all()
    assert told("credits.low") == [{"credit_type": "credits", "available": 10, "threshold": 50}]
    assert told("credits.expiring") == []


def test_credits_that_expire_are_told_once(someone: Subscriber) -> None:
    grant_credits(
        Incoming(account_id=someone.account_id, credit_type="credits", amount=10, source="bonus", actor="t",
                 expires_at=utc(2028, 1, 3))
    )  # fmt: skip
    for _ in range(2):
        sweep_all()
    assert told("credits.expiring") == [
        {"credit_type": "credits", "amount": 10, "expires_at": "2028-01-03T00:00:00Z"}
    ]


def test_an_event_falls_with_its_fact(shop: Shop) -> None:
    started = shop.start()
    shop.pay(started.session_id)

    @atomic
    def interrupted() -> None:
        raise OSError("the power is gone")

    with pytest.raises(Exception, match=r"power|storage|database"):
        fulfil_checkout(started.session_id, "user:1", shop.payments, interrupted)
    assert told("payment.succeeded") == []
    fulfil_checkout(started.session_id, "user:1", shop.payments)
    assert len(told("payment.succeeded")) == 1

"""Plans given without Stripe, and each month's credits once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from errors import InvalidRequest, NotFound
from extensions import db
from models.billing import Subscription, SubscriptionMonth
from models.catalog import Plan
from models.ledger import Grant, Transaction
from services.billing.subscriptions import grant_monthly_credits, set_plan, subscription_of
from services.catalog.presets import load_preset
from services.ledger.balances import balance_of
from tests.conftest import make_account

CATALOGS = Path(__file__).resolve().parents[3] / "catalogs"
START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


@pytest.fixture
def account_id(either_app: Flask) -> int:
    load_preset(CATALOGS / "studio.toml")
    return make_account()


def lots() -> list[tuple[int, datetime | None]]:
    return [(lot.amount, lot.expires_at) for lot in db.session.scalars(select(Grant).order_by(Grant.id))]


class TestSetPlan:
    def test_grants_the_month_once(self, account_id: int) -> None:
        with time_machine.travel(START, tick=False):
            view = set_plan(account_id, "professional", "month", "key:1")
            assert set_plan(account_id, "professional", "month", "key:1") == view
            assert lots() == [(1000, START + timedelta(days=30))]
            assert balance_of(account_id, "credits").subscription == 1000
        assert view.has_active_subscription and view.status == "comped"
        assert (view.plan, view.interval, view.price_cents) == ("professional", "month", 2999)
        assert view.current_period_end == datetime(2026, 2, 28, 9, 30, tzinfo=UTC)
        line = db.session.scalar(select(Transaction))
        assert line is not None and (line.type, line.actor) == ("subscription", "key:1")

    def test_another_plan_ends_the_first(self, account_id: int) -> None:
        set_plan(account_id, "professional", "month", "command")
        view = set_plan(account_id, "basic", "year", "command")
        assert (view.plan, view.interval) == ("basic", "year")
        rows = db.session.scalars(select(Subscription).order_by(Subscription.id)).all()
        assert [(row.status, row.ended_at is None) for row in rows] == [("canceled", False), ("comped", True)]
        assert balance_of(account_id, "credits").balance == 1000

    def test_refuses_what_is_not_there(self, account_id: int) -> None:
        with pytest.raises(NotFound):
            set_plan(account_id, "gold", "month", "command")
        with pytest.raises(InvalidRequest, match="interval"):
            set_plan(account_id, "basic", "week", "command")
        assert db.session.scalar(select(func.count(Subscription.id))) == 0

    def test_the_free_plan_is_no_subscription(self, app: Flask) -> None:
        load_preset(CATALOGS / "devtools.toml")
        account_id = make_account()
        set_plan(account_id, "pro", "month", "command")
        view = set_plan(account_id, "free", "month", "command")
        assert (view.has_active_subscription, view.plan, view.status) == (False, "free", None)


class TestSubscriptionOf:
    def test_without_any(self, account_id: int) -> None:
        view = subscription_of(account_id)
        assert (view.has_active_subscription, view.plan, view.features) == (False, None, ())

    def test_the_period_goes_on_without_a_job(self, account_id: int) -> None:
        with time_machine.travel(START, tick=False):
            set_plan(account_id, "basic", "month", "command")
        with time_machine.travel(START + timedelta(days=40), tick=False):
            assert subscription_of(account_id).current_period_end == datetime(2026, 3, 31, 9, 30, tzinfo=UTC)


class TestGrantMonthlyCredits:
    def test_each_month_once_on_the_anchor_day(self, account_id: int) -> None:
        with time_machine.travel(START, tick=False):
            set_plan(account_id, "professional", "year", "command")
        granted = {}
        for day in range(1, 92):
            moment = START + timedelta(days=day)
            with time_machine.travel(moment, tick=False):
                if grant_monthly_credits():
                    granted[moment.date().isoformat()] = grant_monthly_credits()
        assert granted == {"2026-02-28": 0, "2026-03-31": 0, "2026-04-30": 0}
        rows = db.session.scalars(select(SubscriptionMonth).order_by(SubscriptionMonth.starts_at)).all()
        assert [row.starts_at.day for row in rows] == [31, 28, 31, 30]
        assert len(lots()) == 4

    def test_missed_months_whose_credits_would_be_over_are_left(self, account_id: int) -> None:
        with time_machine.travel(START, tick=False):
            set_plan(account_id, "professional", "month", "command")
        late = START + timedelta(days=75)
        with time_machine.travel(late, tick=False):
            assert grant_monthly_credits() == 1
            assert lots()[-1][1] == datetime(2026, 4, 30, 9, 30, tzinfo=UTC)
            assert balance_of(account_id, "credits").balance == 1000

    def test_missed_months_that_never_expire_are_made_up_for(self, account_id: int) -> None:
        plan = db.session.scalar(select(Plan).where(Plan.code == "professional"))
        assert plan is not None
        plan.credits_expire = "never"
        db.session.commit()
        with time_machine.travel(START, tick=False):
            set_plan(account_id, "professional", "month", "command")
        with time_machine.travel(START + timedelta(days=75), tick=False):
            assert grant_monthly_credits() == 2
            assert balance_of(account_id, "credits").balance == 3000

"""When credits run out at a pace: pure calculation, and the pace of real spends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from extensions import db
from models.catalog import Catalog
from services.billing.coming_credits import ComingCredits, coming_credits
from services.billing.subscriptions import set_plan
from services.catalog.presets import load_preset
from services.ledger.balances import LotView, lots_of, positions
from services.ledger.debits import Spend, spend_credits
from services.ledger.grants import Incoming, grant_credits
from services.usage import forecast
from services.usage.forecast import forecast_of, run_down
from tests.conftest import make_account
from tests.shop import CATALOGS

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def lot(units: int, days: float | None = None) -> LotView:
    ends = None if days is None else NOW + timedelta(days=days)
    return LotView(1, "credits", 0, "purchase", False, units, units, 0, 0, 50, ends, NOW)


LITTLE = timedelta(seconds=1)


def month(days: float, units: int, *, lasts: int | None) -> ComingCredits:
    comes = NOW + timedelta(days=days)
    return ComingCredits(comes, units, None if lasts is None else comes + timedelta(days=lasts))


class TestRunDown:
    def test_lots_in_turn(self) -> None:
        found = run_down([lot(100), lot(50)], spent=100, days=10, now=NOW)
        assert (found.daily_units, found.runs_out_at) == (10, NOW + timedelta(days=15))

    def test_what_expires_before_it_is_spent_does_not_last(self) -> None:
        found = run_down([lot(100, days=4), lot(50)], spent=100, days=10, now=NOW)
        assert (found.expiring_units, found.runs_out_at) == (60, NOW + timedelta(days=9))

    def test_a_plan_brings_new_ones_in_time_or_too_late(self) -> None:
        """10 a day: 100 last ten days, 50 more on day 5 five further, 80 on day 20 come too late."""
        coming = [month(5, 50, lasts=30), month(20, 80, lasts=30)]
        found = run_down([lot(100)], spent=100, days=10, now=NOW, coming=coming)
        assert found.runs_out_at == NOW + timedelta(days=15)
        assert (found.refilled_at, found.monthly_units) == (NOW + timedelta(days=20), 50)

    def test_what_a_plan_brings_is_spent_first_and_may_expire(self) -> None:
        """300 for 10 days from day 5 on: 100 of them are spent, what was there before goes on afterwards."""
        bought = replace(lot(100), priority=200)
        found = run_down([bought], spent=100, days=10, now=NOW, coming=[month(5, 300, lasts=10)])
        assert found.runs_out_at == NOW + timedelta(days=20) and found.expiring_units == 0

    def test_enough_each_month_lasts(self) -> None:
        months = [month(30 * number, 310, lasts=30) for number in range(1, 26)]
        found = run_down([lot(310, days=30)], spent=100, days=10, now=NOW, coming=months)
        assert found.runs_out_at is None and found.refilled_at is None

    @given(
        st.lists(st.tuples(st.integers(1, 500), st.none() | st.integers(1, 90)), max_size=6),
        st.lists(
            st.tuples(st.integers(0, 90), st.integers(1, 500), st.none() | st.integers(1, 40)), max_size=6
        ),
        st.integers(1, 300),
    )
    def test_it_ends_and_more_credits_never_shorten_it(self, lots: list, coming: list, spent: int) -> None:
        here = [lot(units, days) for units, days in lots]
        later = [
            month(days, units, lasts=lasts) for days, units, lasts in sorted(coming, key=lambda each: each[0])
        ]
        alone = run_down(here, spent, 10, NOW).runs_out_at
        found = run_down(here, spent, 10, NOW, later)
        assert found.runs_out_at is None or (alone is not None and found.runs_out_at >= alone - LITTLE)

    def test_more_than_two_years_is_no_day(self) -> None:
        assert run_down([lot(10_000)], spent=10, days=10, now=NOW).runs_out_at is None


def test_the_pace_of_an_account(app: Flask) -> None:
    account_id = make_account()
    with time_machine.travel(NOW, tick=False):
        grant_credits(
            Incoming(account_id=account_id, credit_type="credits", amount=1000, source="purchase", actor="t")
        )
    for day in range(1, 11):
        with time_machine.travel(NOW + timedelta(days=day), tick=False):
            spend_credits(Spend(account_id=account_id, credit_type="credits", amount=20, actor="test"))
    main = positions(account_id)[0]
    with time_machine.travel(NOW + timedelta(days=2), tick=False):
        assert forecast_of(account_id, main.credit_type_id, []).daily_units is None  # too little to tell
    with time_machine.travel(NOW + timedelta(days=11), tick=False):
        found = forecast_of(account_id, main.credit_type_id, lots_of(account_id, "credits"))
        assert (found.daily_units, found.runs_out_at) == (20, NOW + timedelta(days=11 + 40))


def test_a_busy_account_has_a_pace_after_a_day(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "MOST_LINES", 4)
    account_id = make_account()
    give = {"account_id": account_id, "credit_type": "credits", "actor": "t"}
    with time_machine.travel(NOW, tick=False) as clock:
        grant_credits(Incoming(amount=1000, source="purchase", **give))
        for _ in range(6):
            clock.shift(timedelta(hours=6))
            spend_credits(Spend(amount=10, **give))
        clock.shift(timedelta(hours=6))
        main = positions(account_id)[0]
        found = forecast_of(account_id, main.credit_type_id, lots_of(account_id, "credits"))
    assert found.daily_units == 40


def test_the_months_of_a_given_plan_to_come(either_app: Flask) -> None:
    """From the 31st: the last day of a shorter month, in the account's zone."""
    load_preset(CATALOGS / "studio.toml")
    account_id = make_account(catalog_id=db.session.scalar(select(Catalog.id)))
    with time_machine.travel(datetime(2026, 1, 31, 12, tzinfo=UTC), tick=False):
        assert coming_credits(account_id, 1) == []
        set_plan(account_id, "basic")
        assert coming_credits(account_id, 1) == []  # brings none
        set_plan(account_id, "professional")
        months = coming_credits(account_id, 1)
    assert [f"{each.comes_at:%m-%d}" for each in months[:3]] == ["02-28", "03-31", "04-30"]
    assert {each.units for each in months} == {1000} and len(months) == 24
    assert months[0].expires_at == months[0].comes_at + timedelta(days=30)

"""When credits run out at a pace: pure calculation, and the pace of real spends."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from services.ledger.balances import LotView, lots_of, positions
from services.ledger.debits import Spend, spend_credits
from services.ledger.grants import Incoming, grant_credits
from services.usage import forecast
from services.usage.forecast import forecast_of, run_down
from tests.conftest import make_account

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def lot(units: int, days: float | None = None) -> LotView:
    ends = None if days is None else NOW + timedelta(days=days)
    return LotView(1, "credits", 0, "purchase", False, units, units, 0, 0, 50, ends, NOW)


class TestRunDown:
    def test_lots_in_turn(self) -> None:
        found = run_down([lot(100), lot(50)], spent=100, days=10, now=NOW)
        assert (found.daily_units, found.runs_out_at) == (10, NOW + timedelta(days=15))

    def test_what_expires_before_it_is_spent_does_not_last(self) -> None:
        found = run_down([lot(100, days=4), lot(50)], spent=100, days=10, now=NOW)
        assert (found.expiring_units, found.runs_out_at) == (60, NOW + timedelta(days=9))

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
        assert forecast_of(account_id, main.credit_type_id, []) is None  # too little to tell
    with time_machine.travel(NOW + timedelta(days=11), tick=False):
        found = forecast_of(account_id, main.credit_type_id, lots_of(account_id, "credits"))
        assert found is not None
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
    assert found is not None and found.daily_units == 40

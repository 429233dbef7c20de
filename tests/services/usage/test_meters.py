"""Recording usage against a plan's limits: free within, credits beyond, or nothing at all."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from errors import AccountFrozen, InvalidRequest, LimitReached, SpendingCapReached
from extensions import db
from models.ledger import Transaction
from models.usage import MeterDay, MeterWindow
from services.accounts.accounts import update_account
from services.billing.subscriptions import set_plan
from services.catalog.preset_file import parse_catalog
from services.catalog.presets import load_catalog
from services.ledger.balances import balance_of
from services.ledger.grants import Incoming, grant_credits
from services.ledger.spending_caps import set_spending_cap
from services.usage.meters import Increment, UsageReceipt, record_usage, set_gauge
from services.usage.report import usage_of
from tests.conftest import make_account

CATALOG = """
[catalog]
code = "tools"
name = "Tools"

[[meters]]
code = "calls"
name = "Calls"

[[meters]]
code = "likes"
name = "Likes"
ratio_of = "calls"
ratio_name = "Like rate"

[[meters]]
code = "seats"
name = "Seats"
kind = "gauge"

[[plans]]
code = "free"
name = "Free"
monthly_price_cents = 0
default = true
[plans.limits]
calls = 10
seats = 2

[[plans]]
code = "pro"
name = "Pro"
monthly_price_cents = 1900
annual_price_cents = 19000
[plans.limits]
calls = { included = 100, over = "credits", credits_per_unit = 3 }
seats = { included = 5, over = "credits", credits_per_unit = 10 }
"""
START = datetime(2026, 1, 31, 15, 0, tzinfo=UTC)


@pytest.fixture
def account(either_app: Flask) -> int:
    load_catalog(parse_catalog(CATALOG), "command")
    return make_account("acme")


def use(account: int, quantity: int = 1, meter: str = "calls") -> UsageReceipt:
    return record_usage(Increment(account_id=account, meter=meter, quantity=quantity, actor="key:1"))


def give(account: int, amount: int) -> None:
    grant_credits(
        Incoming(account_id=account, credit_type="credits", amount=amount, source="bonus", actor="command")
    )


def used(account: int, meter: str = "calls") -> int:
    db.session.rollback()
    return next(each.used for each in usage_of(account).meters if each.code == meter)


class TestLimitThatBlocks:
    def test_counts_up_to_it_and_not_beyond(self, account: int) -> None:
        receipt = use(account, 10)
        assert (receipt.used, receipt.remaining, receipt.credits_used) == (10, 0, 0)
        with pytest.raises(LimitReached) as refusal:
            use(account)
        assert refusal.value.members == {"meter": "calls", "used": 10, "limit": 10, "remaining": 0}
        assert used(account) == 10

    def test_takes_all_of_a_quantity_or_none(self, account: int) -> None:
        use(account, 7)
        with pytest.raises(LimitReached):
            use(account, 4)
        assert used(account) == 7
        assert use(account, 3).remaining == 0

    def test_credits_do_not_help(self, account: int) -> None:
        give(account, 1000)
        with pytest.raises(LimitReached):
            use(account, 11)
        assert balance_of(account, "credits").balance == 1000


class TestLimitWithCredits:
    @pytest.fixture(autouse=True)
    def on_pro(self, account: int) -> None:
        set_plan(account, "pro")

    def test_only_the_excess_takes_credits(self, account: int) -> None:
        give(account, 100)
        receipt = use(account, 105)
        assert (receipt.used, receipt.remaining, receipt.credits_used) == (105, 0, 15)
        assert balance_of(account, "credits").balance == 85
        line = db.session.scalars(select(Transaction).where(Transaction.type == "usage")).one()
        assert (line.amount, line.quantity, line.unit_cost) == (-15, "5", "3")

    def test_without_enough_credits_nothing_is_counted_or_taken(self, account: int) -> None:
        give(account, 14)
        with pytest.raises(LimitReached) as refusal:
            use(account, 105)
        assert (refusal.value.members["required"], refusal.value.members["available"]) == (15, 14)
        assert used(account) == 0
        assert balance_of(account, "credits").balance == 14

    def test_beyond_the_spending_cap_nothing_is_counted_or_taken(self, account: int) -> None:
        give(account, 100)
        set_spending_cap(account, "credits", 14, "user:1")
        with pytest.raises(SpendingCapReached) as refusal:
            use(account, 105)
        assert (refusal.value.members["required"], refusal.value.members["left"]) == (15, 14)
        assert used(account) == 0
        use(account, 104)
        assert balance_of(account, "credits").balance == 88

    def test_a_frozen_account_records_nothing(self, account: int) -> None:
        update_account(account, {"status": "frozen"}, actor="command")
        with pytest.raises(AccountFrozen):
            use(account)
        assert used(account) == 0

    def test_thresholds_are_told_once_when_they_are_crossed(self, account: int) -> None:
        crossed = [use(account, quantity).warning for quantity in (79, 1, 5, 5, 9)]
        assert crossed == [None, 80, None, 90, None]


class TestWindows:
    def test_a_counter_starts_anew_each_month_from_the_plans_day(self, account: int) -> None:
        with time_machine.travel(START, tick=False) as clock:
            set_plan(account, "pro", "year")
            use(account, 60)
            for moment, expected in (
                (datetime(2026, 2, 28, 14, 59, tzinfo=UTC), 60),
                (datetime(2026, 2, 28, 15, 0, tzinfo=UTC), 0),
                (datetime(2026, 3, 31, 14, 59, tzinfo=UTC), 0),
            ):
                clock.move_to(moment)
                assert used(account) == expected
            use(account, 5)
            clock.move_to(datetime(2026, 3, 31, 15, 0, tzinfo=UTC))
            assert use(account, 1).used == 1

    def test_without_a_subscription_the_calendar_month_of_the_zone_counts(self, account: int) -> None:
        update_account(account, {"time_zone": "America/New_York"}, actor="command")
        with time_machine.travel(datetime(2026, 3, 1, 4, 59, tzinfo=UTC), tick=False) as clock:
            use(account, 4)
            clock.move_to(datetime(2026, 3, 1, 5, 0, tzinfo=UTC))
            assert used(account) == 0

    def test_an_upgrade_keeps_the_count(self, account: int) -> None:
        with time_machine.travel(START, tick=False) as clock:
            use(account, 9)
            clock.shift(timedelta(hours=1))
            set_plan(account, "pro")
            assert used(account) == 9
            assert use(account, 1).used == 10


class TestGauge:
    def test_grows_within_the_limit_and_falls_always(self, account: int) -> None:
        assert set_gauge(account, "seats", 2, "key:1").remaining == 0
        with pytest.raises(LimitReached):
            set_gauge(account, "seats", 3, "key:1")
        assert used(account, "seats") == 2
        assert set_gauge(account, "seats", 0, "key:1").used == 0

    def test_beyond_the_limit_each_one_more_is_paid_once(self, account: int) -> None:
        set_plan(account, "pro")
        give(account, 100)
        assert set_gauge(account, "seats", 7, "key:1").credits_used == 20
        assert set_gauge(account, "seats", 7, "key:1").credits_used == 0
        assert set_gauge(account, "seats", 8, "key:1").credits_used == 10
        assert balance_of(account, "credits").balance == 70

    def test_a_counter_is_not_set(self, account: int) -> None:
        with pytest.raises(InvalidRequest):
            set_gauge(account, "calls", 1, "key:1")


class TestReport:
    def test_days_ratios_and_totals(self, account: int) -> None:
        with time_machine.travel(START, tick=False) as clock:
            set_plan(account, "pro")
            use(account, 4)
            clock.shift(timedelta(days=1))
            use(account, 6)
            use(account, 3, "likes")
            report = usage_of(account, 7)
        assert report.totals == {"calls": 10, "likes": 3}
        assert [(ratio.name, ratio.percent) for ratio in report.ratios] == [("Like rate", 30)]
        assert [day.counts["calls"] for day in report.daily] == [0, 0, 0, 0, 0, 4, 6]

    def test_a_meter_without_a_limit_counts_without_end(self, account: int) -> None:
        assert use(account, 10**6, "likes").limit is None

    @pytest.mark.parametrize("meter", ["nonsense", "", "CALLS"])
    def test_an_unknown_meter_is_named(self, account: int, meter: str) -> None:
        with pytest.raises(InvalidRequest, match="meter"):
            use(account, 1, meter)


class TestRaces:
    def test_sixty_four_at_the_edge_take_exactly_what_is_beyond(
        self, either_app: Flask, account: int
    ) -> None:
        set_plan(account, "pro")
        give(account, 3 * 20)
        use(account, 90)
        gate = threading.Barrier(64)
        outcomes: list[str] = []

        def one() -> None:
            with either_app.app_context():
                gate.wait()
                try:
                    outcomes.append(f"taken {use(account).credits_used}")
                except LimitReached:
                    outcomes.append("refused")

        threads = [threading.Thread(target=one) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts = {outcome: outcomes.count(outcome) for outcome in set(outcomes)}
        assert counts == {"taken 0": 10, "taken 3": 20, "refused": 34}
        assert used(account) == 120
        assert balance_of(account, "credits").balance == 0
        assert db.session.scalars(select(MeterWindow.used)).all() == [120]
        assert sum(db.session.scalars(select(MeterDay.quantity))) == 120


def test_the_preset_says_what_its_plans_include(app: Flask) -> None:
    from services.catalog.exports import export_catalog

    text = (Path(__file__).resolve().parents[3] / "catalogs" / "devtools.toml").read_text()
    load_catalog(parse_catalog(text), "command")
    again = parse_catalog(export_catalog("devtools"))
    assert again.model_dump(exclude={"credit_types"}) == parse_catalog(text).model_dump(
        exclude={"credit_types"}
    ) | {"catalog": again.catalog.model_dump()}

"""Buying credits now and paying later."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update

from errors import (
    AccountFrozen,
    AccountPastDue,
    CofferError,
    IdempotencyKeyReused,
    InvalidRequest,
    OverageLimitReached,
    PriceChanged,
)
from extensions import db
from models.accounts import Account
from models.ledger import Transaction
from models.overage import OverageOrder, OveragePurchase
from services.agencies.pricing import Scope, set_price
from services.ledger.balances import balance_of
from services.overage.cycles import cycle_around
from services.overage.purchases import buy_overage, overage_offer, overage_owed, overage_purchases_of
from services.overage.terms import set_cycle_day, set_owed_limit, set_settlement
from tests.services.overage.agency import Agency, buy, make_agency

NOW = datetime(2027, 3, 10, 12, tzinfo=UTC)
APRIL = datetime(2027, 4, 1, tzinfo=UTC)


@pytest.fixture
def agency(either_app: Flask) -> Iterator[Agency]:
    with time_machine.travel(NOW, tick=False):
        yield make_agency()


def rows() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(OveragePurchase)) or 0


class TestBuying:
    def test_credits_are_there_at_once_and_the_price_is_owed(self, agency: Agency) -> None:
        client = agency.clients[0]
        receipt = buy(client, audience=2, pixel=5, custom_model=0)
        assert (receipt.total_cents, receipt.charged_at) == (2 * 2500 + 5 * 1000, APRIL)
        assert [(line.code, line.quantity, line.price_cents) for line in receipt.lines] == [
            ("audience", 2, 5000), ("pixel", 5, 5000)
        ]  # fmt: skip
        assert (balance_of(client, "audience").available, balance_of(client, "pixel").available) == (2, 5)
        owed = overage_owed(client)
        assert (owed.unbilled_cents, owed.charged_cents, owed.next_charge_at) == (10000, 0, APRIL)
        stored = db.session.scalars(select(OveragePurchase).order_by(OveragePurchase.id)).all()
        assert [(row.cost_cents, row.agency_account_id, row.settlement_mode) for row in stored] == [
            (3000, agency.id, "collected"), (3000, agency.id, "collected")
        ]  # fmt: skip
        lines = db.session.scalars(select(Transaction).where(Transaction.account_id == client)).all()
        assert {(line.type, line.task_id) for line in lines} == {("overage", receipt.order_id)}

    def test_one_form_buys_once(self, agency: Agency) -> None:
        client, quote = agency.clients[0], overage_offer(agency.clients[0]).quote
        first = buy_overage(client, {"pixel": 3}, quote, request_key="k", actor="user:1")
        again = buy_overage(client, {"pixel": 3, "audience": 0}, quote, request_key="k", actor="user:1")
        assert (first, rows(), balance_of(client, "pixel").available) == (again, 1, 3)
        with pytest.raises(IdempotencyKeyReused):
            buy_overage(client, {"pixel": 4}, quote, request_key="k", actor="user:1")
        assert rows() == 1

    def test_a_price_that_changed_buys_nothing_and_is_told(self, agency: Agency) -> None:
        client, quote = agency.clients[0], overage_offer(agency.clients[0]).quote
        set_price(Scope(agency_id=agency.id), "pixel", 1111, actor="user:1")
        with pytest.raises(PriceChanged) as refusal:
            buy_overage(client, {"pixel": 1}, quote, request_key="k", actor="user:1")
        assert {"type": "pixel", "price_cents": 1111} in refusal.value.members["prices"]
        assert rows() == 0
        told = refusal.value.members["quote"]
        assert buy_overage(client, {"pixel": 1}, told, request_key="k", actor="user:1").total_cents == 1111

    @pytest.mark.parametrize(("quantities", "field"), [
        ({}, "quantities"), ({"pixel": 0}, "quantities"), ({"pixel": -1}, "quantities.pixel"),
        ({"credits": 1}, "quantities.credits"), ({"nothing": 1}, "quantities.nothing"),
        ({"pixel": 10**9 + 1}, "quantities.pixel"), ({"audience": 10**9}, "quantities"),
    ])  # fmt: skip
    def test_what_cannot_be_bought_is_named(
        self, agency: Agency, quantities: dict[str, int], field: str
    ) -> None:
        quote = overage_offer(agency.clients[0]).quote
        with pytest.raises(InvalidRequest) as refusal:
            buy_overage(agency.clients[0], quantities, quote, request_key="k", actor="user:1")
        assert (refusal.value.errors[0].field, rows()) == (field, 0)

    @pytest.mark.parametrize(
        ("status", "error"),
        [("frozen", AccountFrozen), ("past_due", AccountPastDue), ("parked", AccountFrozen)],
    )
    def test_some_accounts_may_not(self, agency: Agency, status: str, error: type[CofferError]) -> None:
        db.session.execute(update(Account).where(Account.id == agency.clients[0]).values(status=status))
        db.session.commit()
        with pytest.raises(error):
            buy(agency.clients[0], pixel=1)
        assert rows() == 0

    def test_a_card_may_be_required(self, agency: Agency) -> None:
        quote = overage_offer(agency.clients[0]).quote
        with pytest.raises(InvalidRequest) as refusal:
            buy_overage(
                agency.clients[0], {"pixel": 1}, quote, request_key="k", actor="user:1", requires_card=True
            )
        assert refusal.value.errors[0].field == "card"

    def test_what_was_bought_keeps_its_price_cost_and_mode(self, agency: Agency) -> None:
        buy(agency.clients[0], pixel=1)
        set_price(Scope(agency_id=agency.id), "pixel", 9999, actor="user:1")
        set_settlement(agency.id, "own_billing", None, "user:1")
        buy(agency.clients[1], audience=1)
        bought = [
            (row.price_cents, row.settlement_mode)
            for row in db.session.scalars(select(OveragePurchase).order_by(OveragePurchase.id))
        ]
        assert bought == [(1000, "collected"), (2500, "own_billing")]
        assert [receipt.total_cents for receipt in overage_purchases_of(agency.clients[0])] == [1000]


class TestTheLimit:
    def test_beyond_it_nothing_is_bought_and_what_is_left_is_told(self, agency: Agency) -> None:
        client = agency.clients[0]
        set_owed_limit(client, 2500, "user:1")
        buy(client, pixel=2)
        with pytest.raises(OverageLimitReached) as refusal:
            buy(client, pixel=1)
        assert refusal.value.members["left_cents"] == 500
        assert (rows(), overage_owed(client).left_cents) == (1, 500)

    def test_many_at_once_never_pass_it(self, agency: Agency, either_app: Flask) -> None:
        client = agency.clients[0]
        set_owed_limit(client, 7 * 1000, "user:1")
        quote = overage_offer(client).quote
        barrier = Barrier(16)

        def confirm(number: int) -> bool:
            with either_app.app_context():
                barrier.wait()
                try:
                    buy_overage(client, {"pixel": 1}, quote, request_key=f"k{number}", actor="user:1")
                except OverageLimitReached:
                    return False
                finally:
                    db.session.remove()
                return True

        db.session.remove()
        with ThreadPoolExecutor(16) as pool:
            done = list(pool.map(confirm, range(16)))
        assert (sum(done), rows(), balance_of(client, "pixel").available) == (7, 7, 7)

    def test_one_form_sent_many_times_at_once_buys_once(self, agency: Agency, either_app: Flask) -> None:
        client, barrier = agency.clients[0], Barrier(16)
        quote = overage_offer(client).quote

        def confirm(_: int) -> str:
            with either_app.app_context():
                barrier.wait()
                try:
                    return buy_overage(client, {"pixel": 1}, quote, request_key="k", actor="user:1").order_id
                finally:
                    db.session.remove()

        db.session.remove()
        with ThreadPoolExecutor(16) as pool:
            assert len(set(pool.map(confirm, range(16)))) == 1
        assert (rows(), db.session.scalar(select(func.count()).select_from(OverageOrder))) == (1, 1)


class TestCycles:
    @pytest.mark.parametrize(("moment", "day", "zone", "start", "end"), [
        ("2027-03-10T12:00", 1, "UTC", "2027-03-01T00:00", "2027-04-01T00:00"),
        ("2027-03-01T00:00", 1, "UTC", "2027-03-01T00:00", "2027-04-01T00:00"),
        ("2027-03-10T12:00", 31, "UTC", "2027-02-28T00:00", "2027-03-31T00:00"),
        ("2028-02-29T00:00", 31, "UTC", "2028-02-29T00:00", "2028-03-31T00:00"),
        ("2027-01-10T12:00", 15, "UTC", "2026-12-15T00:00", "2027-01-15T00:00"),
        ("2027-04-01T01:00", 1, "America/New_York", "2027-03-01T05:00", "2027-04-01T04:00"),
    ])  # fmt: skip
    def test_they_begin_at_midnight_of_the_accounts_day(
        self, moment: str, day: int, zone: str, start: str, end: str
    ) -> None:
        cycle = cycle_around(datetime.fromisoformat(moment).replace(tzinfo=UTC), day, zone)
        assert (cycle.start, cycle.end) == tuple(
            datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end)
        )

    def test_a_purchase_is_charged_on_the_day_that_was_set(self, agency: Agency) -> None:
        set_cycle_day(agency.clients[0], 15, "user:1")
        assert buy(agency.clients[0], pixel=1).charged_at == datetime(2027, 3, 15, tzinfo=UTC)

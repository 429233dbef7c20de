"""Statements: what an agency owes or is owed, in each way of settling; and that money adds up, whatever happens."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, text

from errors import CofferError, Conflict
from extensions import db
from models.billing import Payment
from models.overage import OPEN_CHARGES, Charge, OveragePurchase, Statement, StatementLine
from sandbox.faults import Fault
from services.agencies.pricing import Scope, set_cost, set_price
from services.billing.refunding import NewRefund, refund_payment
from services.clock import business_now
from services.overage.outcomes import mark_paid_outside, write_off
from services.overage.statements import issue_due_statements, settle_statement
from services.overage.terms import set_cycle_day, set_settlement
from tests.services.billing.subscriber import LATER_DECLINED, utc
from tests.services.overage.agency import buy
from tests.services.overage.books import assert_money_adds_up, taken
from tests.services.overage.business import Business
from tests.shop import GOOD, open_shop

MARCH, APRIL, MAY = utc(2027, 3, 10, 12), utc(2027, 4, 1, 0, 5), utc(2027, 5, 1, 0, 5)
READY = "acct_sandboxready"


@pytest.fixture
def business(either_app: Flask, tmp_path: Path) -> Iterator[Business]:
    with time_machine.travel(MARCH, tick=False) as clock, open_shop(either_app, tmp_path) as shop:
        made = Business(shop, clock)
        yield made
        assert_money_adds_up(shop)


def lines(statement: Statement) -> list[tuple[str, str, int, int, int, int, int]]:
    return [
        (line.kind, line.client_name, line.credits, line.price_cents, line.cost_cents, line.collected_cents,
         line.due_cents)
        for line in db.session.scalars(
            select(StatementLine).where(StatementLine.statement_id == statement.id).order_by(StatementLine.id)
        )
    ]  # fmt: skip


def statements() -> list[Statement]:
    db.session.rollback()
    return list(db.session.scalars(select(Statement).order_by(Statement.id)))


def refund(business: Business, cents: int) -> None:
    payment = db.session.scalars(select(Payment)).one()
    refund_payment(
        NewRefund(
            account_id=payment.account_id, payment_id=payment.public_id, amount_cents=cents, actor="user:9",
            request_key=f"refund-{cents}", reason="",
        ),
        business.shop.payments,
    )  # fmt: skip
    business.hear()


class TestCollectedByTheOwner:
    def test_margin_is_due_on_what_was_collected_and_marked_on_what_was_not(self, business: Business) -> None:
        first, second = business.agency.clients
        business.card(client=first)
        business.card(LATER_DECLINED, client=second)
        buy(first, pixel=5)
        buy(second, audience=2)
        assert business.close(APRIL) == 1
        (statement,) = statements()
        assert (statement.cycle_start, statement.cycle_end) == (utc(2027, 3, 1), utc(2027, 4, 1))
        assert sorted(lines(statement)) == [
            ("purchase", "Agency-Client-1", 5, 5000, 3000, 5000, 2000),
            ("purchase", "Agency-Client-2", 2, 5000, 3000, 0, 0),
        ]
        assert (statement.due_to_agency_cents, statement.charged_to_agency_cents) == (2000, 0)

    def test_what_comes_in_later_is_on_the_next(self, business: Business) -> None:
        business.card(LATER_DECLINED)
        buy(business.client, pixel=5)
        business.close(APRIL)
        business.card(GOOD)
        assert business.close(MAY) == 1
        assert [each.due_to_agency_cents for each in statements()] == [0, 2000]
        assert [line[0] for line in lines(statements()[1])] == ["collected"]
        assert business.close(MAY + timedelta(days=31)) == 0

    def test_what_is_given_back_later_is_on_the_next(self, business: Business) -> None:
        business.card()
        buy(business.client, pixel=5)
        business.close(APRIL)
        refund(business, 2500)
        business.close(MAY)
        assert [each.due_to_agency_cents for each in statements()] == [2000, -1000]
        assert [line[0] for line in lines(statements()[1])] == ["refund"]

    def test_settling_says_so_on_the_purchases_once(self, business: Business) -> None:
        business.card()
        buy(business.client, pixel=5)
        business.close(APRIL)
        settle_statement(statements()[0].public_id, "bank 1", "user:9")
        assert db.session.scalars(select(OveragePurchase)).one().billed_to_agency_at == APRIL
        with pytest.raises(Conflict):
            settle_statement(statements()[0].public_id, "bank 2", "user:9")


class TestTheAgencyBillsItself:
    def test_it_is_charged_the_cost_and_its_clients_nothing(self, business: Business) -> None:
        set_settlement(business.agency.id, "own_billing", None, "user:9")
        business.card(client=business.agency.id)
        buy(business.client, pixel=5)
        assert business.close(APRIL) == 1
        (statement,) = statements()
        assert (statement.due_to_agency_cents, statement.charged_to_agency_cents) == (0, 3000)
        assert business.charges() == [("charged", 3000)]
        row = db.session.scalars(select(OveragePurchase)).one()
        assert (row.charge_id, row.billed_to_client_at, row.billed_to_agency_at) == (None, APRIL, APRIL)
        assert sum(taken(business.shop).values()) == 3000

    def test_an_agency_that_does_not_pay_is_past_due(self, business: Business) -> None:
        set_settlement(business.agency.id, "own_billing", None, "user:9")
        business.card(LATER_DECLINED, client=business.agency.id)
        buy(business.client, pixel=5)
        business.close(APRIL)
        assert (business.status(business.agency.id), business.status()) == ("past_due", "active")
        business.card(GOOD, client=business.agency.id)
        assert business.status(business.agency.id) == "active"

    def test_too_little_for_a_charge_is_taken_off_what_it_is_owed(self, business: Business) -> None:
        set_settlement(business.agency.id, "own_billing", None, "user:9")
        set_cost(Scope(agency_id=business.agency.id), "pixel", 10, actor="user:9")
        business.clock.shift(1)
        buy(business.client, pixel=2)
        business.close(APRIL)
        assert [(each.due_to_agency_cents, each.charge_id) for each in statements()] == [(-20, None)]


class TestConnected:
    def test_nothing_is_due_where_the_fee_covers_the_cost(self, business: Business) -> None:
        set_settlement(business.agency.id, "connected", READY, "user:9")
        business.card()
        buy(business.client, pixel=5)
        business.close(APRIL)
        assert [each.due_to_agency_cents for each in statements()] == [0]

    def test_a_cost_beyond_the_total_is_due_from_the_agency(self, business: Business) -> None:
        set_settlement(business.agency.id, "connected", READY, "user:9")
        set_price(Scope(agency_id=business.agency.id), "pixel", 500, actor="user:1")
        business.clock.shift(1)
        business.card()
        buy(business.client, pixel=5)
        business.close(APRIL)
        assert business.charge().application_fee_cents == 2500
        assert [each.due_to_agency_cents for each in statements()] == [-500]


class TestCycles:
    def test_a_statement_is_frozen_and_there_is_one_a_cycle(self, business: Business) -> None:
        business.card()
        buy(business.client, pixel=5)
        business.close(APRIL)
        assert issue_due_statements() == 0
        with pytest.raises(Exception, match="append-only"):
            db.session.execute(text("UPDATE statements SET due_to_agency_cents = 1"))
        db.session.rollback()

    def test_cycles_that_were_slept_through_are_issued_in_order(self, business: Business) -> None:
        business.card()
        buy(business.client, pixel=1)
        business.clock.move_to(utc(2027, 4, 20))
        buy(business.client, pixel=2)
        assert business.close(utc(2027, 6, 2)) == 2
        assert [each.cycle_start for each in statements()] == [utc(2027, 3, 1), utc(2027, 4, 1)]

    def test_the_agencys_own_day_counts(self, business: Business) -> None:
        set_cycle_day(business.agency.id, 15, "user:9")
        business.card()
        buy(business.client, pixel=1)
        assert business.close(utc(2027, 3, 15, 0, 5)) == 1
        buy(business.client, pixel=1)
        assert business.close(APRIL) == 0
        assert business.close(utc(2027, 4, 15, 0, 5)) == 1
        assert [each.due_to_agency_cents for each in statements()] == [0, 800]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mode", ["collected", "connected", "own_billing", "mixed"])
def test_money_adds_up_whatever_happens(app: Flask, tmp_path: Path, mode: str, seed: int) -> None:
    """Random orders, prices, failures, refunds and moves of the clock; at the end every demand is settled."""
    luck = random.Random(f"{mode}-{seed}")
    modes = ["collected", "connected", "own_billing"] if mode == "mixed" else [mode]
    with time_machine.travel(MARCH, tick=False) as clock, open_shop(app, tmp_path) as shop:
        business = Business(shop, clock)
        for account in (*business.agency.clients, business.agency.id):
            business.card(luck.choice([GOOD, GOOD, LATER_DECLINED]), client=account)
        for _ in range(14):
            clock.shift(timedelta(hours=luck.randrange(1, 200)))
            chosen = luck.choice(modes)
            set_settlement(business.agency.id, chosen, READY if chosen == "connected" else None, "user:9")
            set_price(Scope(agency_id=business.agency.id), "pixel", luck.randrange(0, 3000), actor="user:1")
            clock.shift(1)
            try:
                buy(
                    luck.choice(business.agency.clients),
                    pixel=luck.randrange(1, 9),
                    audience=luck.randrange(0, 3),
                )
            except CofferError as refusal:
                assert refusal.code == "account_past_due"
            if luck.random() < 0.5:
                shop.server.faults.plan(
                    Fault(
                        luck.choice(["500", "effect_then_500", "effect_then_reset", "reset"]),
                        path="/v1/invoice",
                    )
                )
            business.close(business_now())
            shop.server.faults.clear()
            if luck.random() < 0.2:
                _refund_something(business, luck)
            assert_money_adds_up(shop)
        for account in (*business.agency.clients, business.agency.id):
            business.card(GOOD, client=account)
        for _ in range(3):
            clock.shift(timedelta(days=32))
            business.close(business_now())
        _end_what_is_open(business, luck)
        assert_money_adds_up(shop)
        rows = db.session.scalars(select(OveragePurchase)).all()
        assert all(row.billed_to_client_at or row.written_off_at for row in rows)
        assert all(row.statement_id for row in rows)


def _refund_something(business: Business, luck: random.Random) -> None:
    db.session.rollback()
    found = db.session.scalars(select(Payment).where(Payment.status == "paid")).all()
    if found:
        payment = luck.choice(found)
        refund_payment(
            NewRefund(
                account_id=payment.account_id, payment_id=payment.public_id, actor="user:9", reason="",
                amount_cents=luck.randrange(1, payment.amount_cents + 1), request_key=payment.public_id,
            ),
            business.shop.payments,
        )  # fmt: skip
        business.hear()


def _end_what_is_open(business: Business, luck: random.Random) -> None:
    db.session.rollback()
    for row in db.session.scalars(select(Charge).where(Charge.status.in_(OPEN_CHARGES))).all():
        if luck.random() < 0.5:
            write_off(row.public_id, "gone", "user:9", business.shop.payments)
        else:
            mark_paid_outside(row.public_id, "bank", "user:9", business.shop.payments)

"""Charging what was bought: once, whatever goes wrong, until it is paid, written off or paid outside."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from errors import Conflict, InvalidRequest, NotFound
from extensions import db
from models.accounts import Account
from models.billing import Payment
from models.ledger import Grant
from models.overage import Charge, ChargeAttempt, OveragePurchase
from sandbox.faults import Fault
from sandbox.paying import authenticate_invoice, pay_open_invoice
from services.agencies.pricing import Scope, set_price
from services.billing.reconcile import reconcile
from services.billing.refunding import NewRefund, refund_payment
from services.overage import charging
from services.overage.charges import make_due_charges, open_charges_of
from services.overage.charging import charge_due, pay_now, pursue
from services.overage.outcomes import mark_paid_outside, write_off
from services.overage.purchases import overage_owed
from services.overage.terms import set_settlement
from tests.services.billing.subscriber import ASKS, LATER_DECLINED, utc
from tests.services.overage.agency import buy
from tests.services.overage.books import assert_money_adds_up, invoices, taken
from tests.services.overage.business import Business
from tests.shop import GOOD, open_shop

MARCH, APRIL = utc(2027, 3, 10, 12), utc(2027, 4, 1, 0, 5)
READY = "acct_sandboxready"


@pytest.fixture
def business(app: Flask, tmp_path: Path) -> Iterator[Business]:
    with time_machine.travel(MARCH, tick=False) as clock, open_shop(app, tmp_path) as shop:
        made = Business(shop, clock)
        yield made
        assert_money_adds_up(shop)


@pytest.fixture
def either(either_app: Flask, tmp_path: Path) -> Iterator[Business]:
    with time_machine.travel(MARCH, tick=False) as clock, open_shop(either_app, tmp_path) as shop:
        made = Business(shop, clock)
        yield made
        assert_money_adds_up(shop)


class TestTheEndOfACycle:
    def test_it_is_charged_once_with_a_line_for_each_type(self, either: Business) -> None:
        either.card()
        buy(either.client, audience=2, pixel=1)
        buy(either.client, pixel=2)
        assert either.run() == {}
        assert either.run(APRIL) == {"charged": 1}
        assert either.run() == {}
        assert either.charges() == [("charged", 8000)]
        (invoice,) = invoices(either.shop)
        assert [(line["description"], line["amount"]) for line in invoice["lines"]["data"]] == [
            ("Audience: 2 × $25.00", 5000), ("Pixel: 3 × $10.00", 3000)
        ]  # fmt: skip
        owed = overage_owed(either.client)
        assert (owed.total_cents, either.status()) == (0, "active")
        payment = db.session.scalars(select(Payment)).one()
        assert (payment.kind, payment.status, payment.amount_cents) == ("overage", "paid", 8000)
        assert payment.invoice_url
        assert all(row.billed_to_client_at for row in db.session.scalars(select(OveragePurchase)))
        assert {lot.payment_id for lot in db.session.scalars(select(Grant))} == {payment.id}
        assert either.told() == ["overage_charged"]

    def test_what_is_bought_at_the_very_end_belongs_to_the_next(self, business: Business) -> None:
        business.card()
        business.clock.move_to(utc(2027, 4, 1))
        buy(business.client, pixel=1)
        assert business.run(APRIL) == {}
        assert business.run(utc(2027, 5, 1, 0, 5)) == {"charged": 1}

    def test_too_little_waits_for_the_next_cycle(self, business: Business) -> None:
        business.card()
        set_price(Scope(agency_id=business.agency.id), "pixel", 30, actor="user:1")
        business.clock.shift(1)
        buy(business.client, pixel=1)
        assert (business.run(APRIL), business.charges()) == ({}, [])
        assert overage_owed(business.client).unbilled_cents == 30
        buy(business.client, pixel=1)
        assert business.run(utc(2027, 5, 1, 0, 5)) == {"charged": 1}
        assert business.charges() == [("charged", 60)]

    def test_nothing_to_pay_is_closed_without_stripe(self, business: Business) -> None:
        set_price(Scope(agency_id=business.agency.id), "pixel", 0, actor="user:1")
        business.clock.shift(1)
        buy(business.client, pixel=1)
        business.run(APRIL)
        assert (business.charges(), invoices(business.shop)) == ([], [])
        assert db.session.scalars(select(OveragePurchase)).one().billed_to_client_at is not None

    def test_without_a_card_the_invoice_goes_out_with_its_page(self, business: Business) -> None:
        buy(business.client, pixel=1)
        assert business.run(APRIL) == {"requires_action": 1}
        (view,) = open_charges_of(business.client)
        assert view.hosted_invoice_url
        assert (business.status(), business.told()) == ("active", ["card_needs_confirmation"])
        pay_open_invoice(business.shop.server.store, business.charge().stripe_invoice_id, GOOD)
        business.hear()
        assert (business.charges(), business.status()) == ([("charged", 1000)], "active")


class TestDunning:
    def test_a_refused_card_is_tried_on_four_days_and_then_the_charge_stays_owed(
        self, either: Business
    ) -> None:
        either.card(LATER_DECLINED)
        buy(either.client, pixel=5)
        assert either.run(APRIL) == {"failed": 1}
        assert either.status() == "past_due"
        tried = []
        for hours in range(0, 24 * 12, 6):
            if either.run(APRIL + timedelta(hours=hours)):
                tried.append(hours // 24)
        assert tried == [1, 3, 5, 7]
        assert (either.charges(), either.status()) == ([("failed", 5000)], "past_due")
        assert overage_owed(either.client).charged_cents == 5000
        assert either.told().count("payment_failed") == 5
        keys = [row.idempotency_key for row in db.session.scalars(select(ChargeAttempt))]
        assert (len(keys), len(set(keys))) == (5, 5)

    def test_a_new_card_pays_at_once(self, either: Business) -> None:
        either.card(LATER_DECLINED)
        buy(either.client, pixel=5)
        either.run(APRIL)
        either.card(GOOD)
        assert (either.charges(), either.status()) == ([("charged", 5000)], "active")

    def test_the_customer_pays_on_the_hosted_page(self, business: Business) -> None:
        business.card(LATER_DECLINED)
        buy(business.client, pixel=5)
        business.run(APRIL)
        pay_open_invoice(business.shop.server.store, business.charge().stripe_invoice_id, GOOD)
        business.hear()
        assert (business.charges(), business.status()) == ([("charged", 5000)], "active")
        assert business.run(APRIL + timedelta(days=1)) == {}

    def test_a_bank_that_asks_is_answered_on_the_hosted_page(self, business: Business) -> None:
        business.card(ASKS)
        buy(business.client, pixel=5)
        assert business.run(APRIL) == {"requires_action": 1}
        assert business.status() == "active"
        store, invoice_id = business.shop.server.store, business.charge().stripe_invoice_id
        pay_open_invoice(store, invoice_id, ASKS)
        authenticate_invoice(store, invoice_id, succeeds=True)
        business.hear()
        assert business.charges() == [("charged", 5000)]

    def test_a_confirmation_that_never_comes_becomes_past_due(self, business: Business) -> None:
        buy(business.client, pixel=5)
        for day in range(10):
            business.run(APRIL + timedelta(days=day))
        assert (business.charges(), business.status()) == ([("failed", 5000)], "past_due")

    def test_paying_now_tries_the_card(self, business: Business) -> None:
        business.card()
        buy(business.client, pixel=5)
        business.shop.server.faults.plan(Fault("500", times=9, path="/v1/invoices"))
        business.run(APRIL)
        business.shop.server.faults.clear()
        (view,) = open_charges_of(business.client)
        assert pay_now(business.client, view.id, "user:1", business.shop.payments) == "charged"
        with pytest.raises(Conflict):
            pay_now(business.client, view.id, "user:1", business.shop.payments)
        with pytest.raises(NotFound):
            pay_now(business.agency.clients[1], view.id, "user:1", business.shop.payments)


class TestByHand:
    def test_written_off_is_owed_no_more_and_cannot_be_paid(self, business: Business) -> None:
        business.card(LATER_DECLINED)
        buy(business.client, pixel=5)
        business.run(APRIL)
        with pytest.raises(InvalidRequest):
            write_off(business.charge().public_id, " ", "user:9", business.shop.payments)
        write_off(business.charge().public_id, "insolvent", "user:9", business.shop.payments)
        business.hear()
        assert (business.charges(), business.status()) == ([("written_off", 5000)], "active")
        assert overage_owed(business.client).total_cents == 0
        assert invoices(business.shop)[0]["status"] == "void"
        with pytest.raises(Conflict):
            write_off(business.charge().public_id, "again", "user:9", business.shop.payments)

    def test_paid_outside_is_paid(self, business: Business) -> None:
        business.card(LATER_DECLINED)
        buy(business.client, pixel=5)
        business.run(APRIL)
        mark_paid_outside(business.charge().public_id, "bank 4711", "user:9", business.shop.payments)
        db.session.rollback()
        assert (business.charges(), business.status()) == ([("paid_outside", 5000)], "active")
        payment = db.session.scalars(select(Payment)).one()
        assert (payment.status, payment.amount_cents, payment.stripe_invoice_id) == ("paid", 5000, None)
        assert invoices(business.shop)[0]["status"] == "paid"
        business.hear()
        assert len(db.session.scalars(select(Payment)).all()) == 1
        db.session.execute(update(Charge).values(status="paid_outside"))
        # Stripe calls it paid, out of band: no money was taken there.
        invoice = invoices(business.shop)[0]
        business.shop.server.store.put(invoice | {"metadata": {}})


CALLS = ["/v1/customers", "/v1/invoices", "/v1/invoiceitems", "/v1/invoices/"]
KINDS = [
    ("reset", False), ("429", False), ("500", False), ("500", True), ("effect_then_500", False),
    ("effect_then_500", True), ("effect_then_reset", False), ("effect_then_timeout", False), ("half_answer", False),
]  # fmt: skip


class TestTrouble:
    @pytest.mark.parametrize("path", CALLS)
    @pytest.mark.parametrize(("kind", "kept"), KINDS)
    def test_one_invoice_is_paid_once_whatever_goes_wrong_where(
        self, business: Business, kind: Any, path: str, kept: bool
    ) -> None:
        if path != "/v1/customers":
            business.card()
        buy(business.client, pixel=5, audience=1)
        for times in (1, 4):
            business.shop.server.faults.plan(Fault(kind, times=times, path=path, seconds=0.05, kept=kept))
            business.run(APRIL)
            business.shop.server.faults.clear()
        for minutes in (6, 15, 40, 120):
            business.run(APRIL + timedelta(minutes=minutes))
        if path == "/v1/customers":  # a customer is made here where there was no card to keep
            assert business.charges() == [("requires_action", 7500)]
            return
        assert business.charges() == [("charged", 7500)]
        assert sum(taken(business.shop).values()) == 7500

    @pytest.mark.parametrize(
        "step", ["claim", "have_invoice", "keep_invoice", "complete_invoice", "collect_invoice"]
    )
    @pytest.mark.parametrize("pause", [timedelta(minutes=6), timedelta(hours=25)])
    def test_a_process_that_dies_is_gone_on_with(
        self, either: Business, monkeypatch: pytest.MonkeyPatch, step: str, pause: timedelta
    ) -> None:
        """Killed right after a step: what was written stays, what was asked is done at Stripe."""
        either.card()
        buy(either.client, pixel=5)

        class Killed(BaseException):
            pass

        owner, name = {
            "claim": (charging, "_claim"), "keep_invoice": (charging, "keep_invoice"),
        }.get(step, (either.shop.payments, step))  # fmt: skip
        call = getattr(owner, name)

        def die(*given: Any) -> None:
            call(*given)
            raise Killed

        either.clock.move_to(APRIL)
        make_due_charges()
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, die)
            with pytest.raises(Killed):
                charge_due(either.shop.payments)
        db.session.rollback()
        assert either.charge().status == "charging"
        assert charge_due(either.shop.payments) == {}  # somebody may be at it still
        assert either.run(APRIL + pause) == {"charged": 1}
        assert sum(taken(either.shop).values()) == 5000

    def test_two_at_once_make_one_attempt(self, business: Business) -> None:
        business.card()
        buy(business.client, pixel=5)
        business.clock.move_to(APRIL)
        make_due_charges()
        charge_id = business.charge().id
        customer = db.session.get_one(Account, business.client).stripe_customer_id
        assert charging._claim(charge_id, customer, "one") is not None
        assert charging._claim(charge_id, customer, "two") is None
        assert pursue(charge_id, "three", business.shop.payments) is None

    def test_what_is_paid_but_never_heard_of_is_found_by_the_comparison(self, business: Business) -> None:
        business.card(LATER_DECLINED)
        buy(business.client, pixel=5)
        business.run(APRIL)
        pay_open_invoice(business.shop.server.store, business.charge().stripe_invoice_id, GOOD)
        reconcile(business.shop.payments)
        assert business.charges() == [("charged", 5000)]

    def test_a_restored_database_finds_the_invoice_that_it_does_not_remember(
        self, business: Business
    ) -> None:
        business.card()
        buy(business.client, pixel=5)
        business.run(APRIL)
        db.session.rollback()
        payment = db.session.scalars(select(Payment)).one()
        # As the backup of the day before knows it: bought, not charged.
        db.session.execute(update(OveragePurchase).values(charge_id=None, billed_to_client_at=None))
        db.session.execute(update(Grant).values(payment_id=None))
        db.session.execute(ChargeAttempt.__table__.delete())
        db.session.execute(Charge.__table__.delete())
        db.session.delete(payment)
        db.session.commit()
        assert business.run(APRIL + timedelta(days=3)) == {"charged": 1}
        assert (len(invoices(business.shop)), sum(taken(business.shop).values())) == (1, 5000)


class TestConnected:
    def test_the_money_goes_to_the_agency_less_the_cost(self, business: Business) -> None:
        set_settlement(business.agency.id, "connected", READY, "user:9")
        business.card()
        buy(business.client, pixel=5)
        assert business.run(APRIL) == {"charged": 1}
        charge = business.charge()
        assert (charge.destination, charge.application_fee_cents) == (READY, 3000)
        (transfer,) = business.shop.server.store.all("transfer")
        assert (transfer["destination"], transfer["amount"]) == (READY, 5000)
        (fee,) = business.shop.server.store.all("application_fee")
        assert fee["amount"] == 3000
        assert db.session.scalars(select(OveragePurchase)).one().billed_to_agency_at is not None

    def test_a_refund_takes_transfer_and_fee_back(self, business: Business) -> None:
        set_settlement(business.agency.id, "connected", READY, "user:9")
        business.card()
        buy(business.client, pixel=5)
        business.run(APRIL)
        payment = db.session.scalars(select(Payment)).one()
        refund_payment(
            NewRefund(
                account_id=business.client, payment_id=payment.public_id, amount_cents=2000, request_key="r",
                actor="user:9", reason="",
            ),
            business.shop.payments,
        )  # fmt: skip
        (transfer,) = business.shop.server.store.all("transfer")
        (fee,) = business.shop.server.store.all("application_fee")
        assert (transfer["amount_reversed"], fee["amount_refunded"]) == (2000, 1200)
        db.session.rollback()
        row = db.session.scalars(select(OveragePurchase)).one()
        assert (row.refunded_cents, db.session.scalars(select(Grant)).one().revoked) == (2000, 2)


def test_what_is_stored_is_what_is_asked(business: Business) -> None:
    business.card()
    buy(business.client, pixel=5)
    business.run(APRIL)
    attempt = db.session.scalars(select(ChargeAttempt)).one()
    told = json.loads(attempt.parameters)
    assert (told["amount_cents"], told["currency"], told["lines"]) == (
        5000,
        "usd",
        [["Pixel: 5 × $10.00", 5000]],
    )
    assert (attempt.status, attempt.finished_at) == ("paid", APRIL)
    paid = [call for call in business.shop.server.api.calls if call[1].endswith("/pay")]
    assert paid[0][2]["payment_method"] == told["payment_method"]

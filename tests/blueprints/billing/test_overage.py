"""What an account owes for credits paid later, on Billing, and paying it at once."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from extensions import db
from models.billing import Payment
from services.overage.terms import set_owed_limit
from tests.services.billing.subscriber import ASKS, LATER_DECLINED, utc
from tests.services.overage.agency import buy
from tests.services.overage.books import assert_money_adds_up
from tests.services.overage.business import Business
from tests.shop import GOOD, open_shop
from tests.visitor import Visitor, fresh, make_person, signed_in

BILLING = "/home/agency-client-1/billing"
MARCH, APRIL = utc(2027, 3, 10, 12), utc(2027, 4, 1, 0, 5)


@pytest.fixture
def business(app: Flask, tmp_path: Path) -> Iterator[Business]:
    with time_machine.travel(MARCH, tick=False) as clock, open_shop(app, tmp_path) as shop:
        made = Business(shop, clock)
        yield made
        assert_money_adds_up(shop)


@pytest.fixture
def owner(app: Flask, business: Business) -> Visitor:
    make_person("olga@example.com", business.client)
    return signed_in(app, "olga@example.com")


def said(visitor: Visitor) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", visitor.get(BILLING).text).split())


def back(app: Flask) -> Visitor:
    """The clock has moved on, and the session with it: sign in again."""
    return signed_in(app, "olga@example.com")


def pay(owner: Visitor) -> str:
    """Press the button; what the page says then."""
    found = re.search(r'action="([^"]+/pay)"', owner.get(BILLING).text)
    assert found is not None
    assert owner.post(found.group(1)).headers["Location"] == BILLING
    return said(owner)


def paid() -> list[int]:
    fresh()
    return list(db.session.scalars(select(Payment.amount_cents).where(Payment.kind == "overage")))


def test_what_is_owed_and_when_it_is_charged(business: Business, owner: Visitor) -> None:
    set_owed_limit(business.client, 100_00, "user:1")
    buy(business.client, pixel=3)
    page = said(owner)
    assert "Owed so far $30.00" in page and "Left of your limit $70.00 of $100.00" in page
    assert "Next charge Apr 1, 2027" in page and "No card is kept" in page
    assert "Pay now" not in page


def test_a_refused_charge_is_paid_by_another_card_at_once(app: Flask, business: Business, owner: Visitor) -> None:
    business.card(LATER_DECLINED)
    buy(business.client, pixel=3)
    business.run(APRIL)
    owner = back(app)
    page = said(owner)
    assert "Payment needed" in page and "$30.00 for the cycle to Apr 1, 2027" in page
    assert "The payment was refused" in page and "Pixel" in page
    assert "The card was refused" in pay(owner)
    assert business.status() == "past_due" and paid() == []
    business.card(GOOD)
    page = said(owner)
    assert "Payment needed" not in page and paid() == [3000]
    assert business.status() == "active"


def test_pay_now_is_paid_once_however_often(app: Flask, business: Business) -> None:
    make_person("olga@example.com", business.client)
    business.card(LATER_DECLINED)
    buy(business.client, pixel=3)
    business.run(APRIL)
    owner = back(app)
    action = re.search(r'action="([^"]+/pay)"', owner.get(BILLING).text).group(1)  # type: ignore[union-attr]
    business.card(GOOD)
    for _ in range(2):
        owner.post(action)
    business.hear()
    assert paid() == [3000]
    assert "This is paid already" in said(owner)


@pytest.mark.parametrize("number", ["", ASKS])
def test_what_has_to_be_confirmed_leads_to_the_invoice(
    app: Flask, business: Business, owner: Visitor, number: str
) -> None:
    if number:
        business.card(number)
    buy(business.client, pixel=3)
    business.run(APRIL)
    page = back(app).get(BILLING).text
    assert business.charge().hosted_invoice_url in page and "Open the invoice" in page
    assert ("Your bank asks you to confirm it" if number else "There is no card to charge") in page


def test_another_accounts_charge_is_not_found(app: Flask, business: Business) -> None:
    buy(business.client, pixel=3)
    business.run(APRIL)
    make_person("sue@example.com", business.agency.clients[1])
    stranger, charge = signed_in(app, "sue@example.com"), business.charge().public_id
    assert stranger.post(f"/home/agency-client-2/billing/charges/{charge}/pay").status_code == 404
    assert stranger.post(f"{BILLING}/charges/{charge}/pay").status_code == 404
    assert paid() == []

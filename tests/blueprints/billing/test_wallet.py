"""The money wallet on the Billing page: shown where there is one, funded once per form."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from extensions import db
from models.billing import Order
from services.accounts.accounts import NewAccount, create_account
from services.billing.funds import Funding, add_funds_by_hand
from services.catalog.presets import load_preset
from services.ledger.debits import Spend, spend_credits
from tests.shop import CATALOGS, Shop, open_shop
from tests.visitor import Visitor, fresh, make_person, signed_in


@pytest.fixture
def shop(app: Flask, tmp_path: Path) -> Iterator[Shop]:
    with open_shop(app, tmp_path) as shop:
        load_preset(CATALOGS / "messaging.toml")
        yield shop


@pytest.fixture
def account_id(shop: Shop) -> int:
    view, _ = create_account(NewAccount(name="Texts", slug="texts", catalogue="messaging"))
    return view.id


@pytest.fixture
def member(app: Flask, account_id: int) -> Visitor:
    make_person("mia@texts.example", account_id, "member")
    return signed_in(app, "mia@texts.example")


def orders() -> list[tuple[str, int]]:
    fresh()
    return list(db.session.execute(select(Order.kind, Order.price_cents).order_by(Order.id)))


def add(member: Visitor, **data: str) -> object:
    page = member.get("/home/texts/billing?add-funds=1").text
    token = re.search(r'name="form_token" value="([^"]+)"', page)[1]
    return member.post("/home/texts/billing/add-funds", {"form_token": token} | data)


class TestPage:
    def test_shows_balance_and_messages_with_their_price(self, member: Visitor, account_id: int) -> None:
        add_funds_by_hand(Funding(account_id=account_id, amount=528_800, actor="key:1"), "bank-1")
        spend_credits(
            Spend(account_id=account_id, credit_type="sms", amount=225, actor="key:1", quantity="3",
                  unit_cost="0.0075", description="Reminders")
        )  # fmt: skip
        page = member.get("/home/texts/billing").text
        assert "$52.8575" in page and "Reminders" in page and ">0.0075<" in page
        messages = member.get("/home/texts/billing?type=sms_send").text
        assert (
            "Reminders" in messages
            and "Funds for" not in messages.split('id="wallet-lines"')[1].split("</table>")[0]
        )

    def test_accounts_without_a_wallet_have_none(self, app: Flask, shop: Shop) -> None:
        make_person("ann@acme.example", shop.account_id, "owner")
        assert "Add funds" not in signed_in(app, "ann@acme.example").get("/home/acme/billing").text

    @pytest.mark.parametrize(
        "query", ["type=nonsense", "cursor=-1", "cursor=x", "newer_than=9999999999999999999"]
    )
    def test_what_is_no_choice_shows_the_usual(self, member: Visitor, query: str) -> None:
        assert member.get(f"/home/texts/billing?{query}").status_code == 200


class TestAddFunds:
    def test_the_button_that_is_pressed_says_how_much(self, member: Visitor) -> None:
        assert "/pay/" in add(member, amount="25", own_amount="12.50").location
        assert "/pay/" in add(member, own_amount="12.50", amount="own").location
        assert "/pay/" in add(member, own_amount="7.25").location
        assert orders() == [("funds", 2500), ("funds", 1250), ("funds", 725)]

    def test_the_dialog_says_what_will_be_there(self, member: Visitor, account_id: int) -> None:
        add_funds_by_hand(Funding(account_id=account_id, amount=528_700, actor="key:1"), "bank-1")
        page = member.get("/home/texts/billing?add-funds=1").text
        for then in ("then $62.87", "then $77.87", "then $302.87"):
            assert then in page
        assert "Then $" not in page
        assert "Then $127.87 are there." in member.get("/home/texts/billing?add-funds=1&amount=75").text

    def test_an_amount_that_was_refused_stays_in_its_field(self, member: Visitor) -> None:
        answer = add(member, own_amount="3.99<")
        page = member.get(answer.location).text
        assert 'value="3.99&lt;"' in page and "Then $" not in page

    def test_one_form_makes_one_order(self, member: Visitor) -> None:
        page = member.get("/home/texts/billing?add-funds=1").text
        token = re.search(r'name="form_token" value="([^"]+)"', page)[1]
        places = {
            member.post("/home/texts/billing/add-funds", {"form_token": token, "amount": "25"}).location
            for _ in range(2)
        }
        assert len(places) == 1 and orders() == [("funds", 2500)]

    @pytest.mark.parametrize(
        "amount", ["", "x", "0", "-5", "4.99", "10,000", "10000.01", "5.001", "1e400", "NaN"]
    )
    def test_an_amount_that_is_none_begins_nothing(self, member: Visitor, amount: str) -> None:
        answer = add(member, own_amount=amount)
        assert "/home/texts/billing?add-funds=1" in answer.location
        assert orders() == []

    def test_a_viewer_may_not(self, app: Flask, account_id: int) -> None:
        make_person("vera@texts.example", account_id, "viewer")
        vera = signed_in(app, "vera@texts.example")
        assert vera.post("/home/texts/billing/add-funds", {"amount": "25"}).status_code == 403
        assert orders() == []

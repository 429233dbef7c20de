"""Buying credits now and paying later, as a client clicks."""

import re
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import func, select

from extensions import db
from models.ledger import Grant
from models.overage import OverageOrder, OveragePurchase
from services.accounts.accounts import update_account
from services.agencies.pricing import Scope, set_price
from services.ledger.balances import balance_of
from services.overage.terms import set_owed_limit
from tests.conftest import make_account
from tests.services.overage.agency import Agency, buy, make_agency
from tests.visitor import Visitor, fresh, make_person, signed_in

PAGE = "/home/agency-client-1/usage"
BUY = f"{PAGE}/overage"


@dataclass
class Client:
    """A member of a client, and the client."""

    visitor: Visitor
    agency: Agency

    @property
    def id(self) -> int:
        return self.agency.clients[0]

    def form(self, **quantities: object) -> dict[str, str]:
        """The form as it is drawn now, with quantities typed in."""
        page = self.visitor.get(PAGE).text
        hidden = dict(re.findall(r'<input type="hidden" name="(form_token|quote|price-\w+)" value="([^"]*)"', page))
        return hidden | {f"quantity-{code}": str(text) for code, text in quantities.items()}

    def confirm(self, form: dict[str, str]):
        return self.visitor.post(BUY, form)


@pytest.fixture
def client(app: Flask) -> Client:
    agency = make_agency()
    make_person("cleo@example.com", agency.clients[0], "member")
    return Client(signed_in(app, "cleo@example.com"), agency)


def bought() -> list[tuple[int, int]]:
    fresh()
    rows = db.session.execute(
        select(OveragePurchase.credits, OveragePurchase.price_cents).order_by(OveragePurchase.id)
    )
    return [(credits, cents) for credits, cents in rows]


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_four_rows_with_prices_what_is_owed_and_when(client: Client) -> None:
    set_owed_limit(client.id, 10_000_00, "user:1")
    buy(client.id, pixel=3)
    page = words(client.visitor.get(PAGE).text)
    for name, price in (("Audience", "$25.00"), ("Enrichment", "$15.00"), ("Pixel", "$10.00"), ("Custom model", "$50.00")):
        assert f"{name} {price} $0.00" in page
    assert "Owed so far $30.00" in page and "Left of your limit $9,970.00 of $10,000.00" in page
    assert "Next charge" in page and "Confirm purchase (pay later)" in page


def test_a_purchase_is_there_at_once_and_in_the_history(client: Client) -> None:
    answer = client.confirm(client.form(enrichment=400, audience=2, pixel="", custom_model=0))
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert bought() == [(2, 5000), (400, 600_000)]
    assert balance_of(client.id, "enrichment").balance == 400
    page = words(client.visitor.get(PAGE).text)
    assert "The credits are yours now. You pay $6,050.00 on" in page
    assert "Owed so far $6,050.00" in page and "Enrichment, paid later" in page


def test_one_form_buys_once_however_often_it_is_sent(client: Client) -> None:
    form = client.form(pixel=3)
    assert [client.confirm(form).status_code for _ in range(3)] == [303, 303, 303]
    assert bought() == [(3, 3000)]


def test_the_back_button_and_other_quantities_buy_nothing_more(client: Client) -> None:
    form = client.form(pixel=3)
    client.confirm(form)
    answer = client.confirm(form | {"quantity-pixel": "4"})
    assert answer.status_code == 409 and "confirmed before" in words(answer.text)
    assert 'value="4"' in answer.text
    assert bought() == [(3, 3000)]
    again = dict(re.findall(r'name="(form_token|quote)" value="([^"]*)"', answer.text))
    assert client.confirm(again | {"quantity-pixel": "4"}).status_code == 303
    assert bought() == [(3, 3000), (4, 4000)]


def test_two_tabs_are_two_purchases(client: Client) -> None:
    first, second = client.form(pixel=1), client.form(pixel=2)
    client.confirm(first)
    client.confirm(second)
    assert bought() == [(1, 1000), (2, 2000)]


def test_a_changed_price_is_shown_and_nothing_bought(client: Client) -> None:
    form = client.form(pixel=3)
    set_price(Scope(agency_id=client.agency.id, client_id=client.id), "pixel", 1150, actor="user:1")
    answer = client.confirm(form)
    assert answer.status_code == 409
    assert "Pixel $10.00 New price $11.50 $34.50" in words(answer.text)
    assert 'value="3"' in answer.text and "Total $34.50" in words(answer.text)
    assert bought() == [] and db.session.scalar(select(func.count(Grant.id))) == 0
    fields = dict(re.findall(r'name="(form_token|quote)" value="([^"]*)"', answer.text))
    client.confirm(fields | {"quantity-pixel": "3"})
    assert bought() == [(3, 3450)]


def test_the_page_cannot_name_a_price(client: Client) -> None:
    client.confirm(client.form(pixel=1) | {"price-pixel": "1"})
    assert bought() == [(1, 1000)]


def test_beyond_the_limit_says_what_is_left(client: Client) -> None:
    set_owed_limit(client.id, 2500, "user:1")
    answer = client.confirm(client.form(pixel=3))
    assert answer.status_code == 402 and "$25.00 are left of your limit of $25.00" in words(answer.text)
    assert 'value="3"' in answer.text and bought() == []


@pytest.mark.parametrize(
    ("quantities", "told"),
    [
        ({}, "Choose how many credits you want"), ({"pixel": 0}, "at least one quantity above zero"),
        ({"pixel": "1.5"}, "must be a whole number"), ({"pixel": "-2"}, "must be a whole number"),
        ({"pixel": "٣"}, "must be a whole number"), ({"pixel": "1e3"}, "must be a whole number"),
        ({"pixel": 10**9 + 1}, "must be a whole number"), ({"gold": 1}, "a quantity is not right"),
        ({"custom_model": 10**9}, "more than can be charged"), ({"pixel": "1" * 500}, "must be a whole number"),
    ],
)  # fmt: skip
def test_wrong_quantities_are_named_and_kept(client: Client, quantities: dict[str, object], told: str) -> None:
    answer = client.confirm(client.form(**quantities))
    assert answer.status_code == 422 and told in words(answer.text)
    assert bought() == [] and db.session.scalar(select(func.count(OverageOrder.id))) == 0


def test_without_a_form_token_nothing_is_bought(client: Client) -> None:
    answer = client.confirm(client.form(pixel=1) | {"form_token": ""})
    assert answer.status_code == 422 and "out of date" in words(answer.text)
    assert bought() == []


@pytest.mark.parametrize(("status", "told"), [("frozen", "frozen"), ("past_due", "overdue")])
def test_not_while_the_account_may_not(client: Client, status: str, told: str) -> None:
    form = client.form(pixel=1)
    update_account(client.id, {"status": status})
    answer = client.confirm(form)
    assert answer.status_code == 403 and told in words(answer.text)
    page = client.visitor.get(PAGE).text
    assert "Confirm purchase" not in page and told in words(page)
    assert bought() == []


def test_viewers_look_on(app: Flask, client: Client) -> None:
    make_person("vic@example.com", client.id, "viewer")
    viewer = signed_in(app, "vic@example.com")
    assert "Confirm purchase" not in viewer.get(PAGE).text
    assert viewer.post(BUY, client.form(pixel=1)).status_code == 403
    assert bought() == []


def test_strangers_see_nothing(app: Flask, client: Client) -> None:
    make_person("sue@example.com", client.agency.clients[1], "owner")
    stranger = signed_in(app, "sue@example.com")
    assert stranger.post(BUY, client.form(pixel=1)).status_code == 404
    assert bought() == []


def test_a_card_first_where_the_instance_asks_for_one(app: Flask, client: Client) -> None:
    app.extensions["settings"] = app.extensions["settings"].model_copy(update={"overage_requires_card": True})
    answer = client.confirm(client.form(pixel=1))
    assert answer.status_code == 422 and "keep a card on Billing first" in words(answer.text)
    assert bought() == []


def test_an_account_that_is_sold_nothing_that_way_sees_nothing_of_it(app: Flask, client: Client) -> None:
    account_id = make_account("plain")
    make_person("pat@example.com", account_id)
    assert "Buy additional credits" not in signed_in(app, "pat@example.com").get("/home/plain/usage").text

"""Credits bought now and paid later over the API."""

import threading

import pytest
from sqlalchemy import func, select

from extensions import db
from models.ledger import Grant
from models.overage import OverageOrder, OveragePurchase
from services.accounts.accounts import update_account
from services.agencies.pricing import Scope, set_price
from services.clock import iso
from services.ledger.balances import balance_of
from services.overage.purchases import overage_owed
from services.overage.terms import set_owed_limit
from tests.blueprints.api.conftest import program
from tests.services.overage.agency import make_agency

PURCHASE = "/api/overage/purchase"


@pytest.fixture
def agency(app):
    return make_agency()


@pytest.fixture
def client(app, agency):
    return program(app, agency.clients[0])


@pytest.fixture
def quote(client):
    return client.get("/api/overage/prices").get_json()["quote"]


def bought() -> list[tuple[int, int]]:
    """What was sold: whole credits and price, by type."""
    db.session.rollback()
    rows = db.session.execute(
        select(OveragePurchase.credits, OveragePurchase.price_cents).order_by(OveragePurchase.id)
    )
    return [(credits, cents) for credits, cents in rows]


def test_the_prices_what_is_owed_and_when_it_is_charged(client, agency):
    answer = client.get("/api/overage/prices").get_json()
    owed = overage_owed(agency.clients[0])
    assert [(p["type"], p["price_cents"]) for p in answer["prices"]] == [
        ("audience", 2500), ("enrichment", 1500), ("pixel", 1000), ("custom_model", 5000)
    ]  # fmt: skip
    assert (answer["owed_cents"], answer["limit_cents"], answer["left_cents"]) == (0, None, None)
    assert (answer["currency"], answer["charged_on"]) == ("usd", iso(owed.next_charge_at))


def test_a_purchase_is_granted_and_owed(client, agency, quote):
    body = {"quantities": {"enrichment": 400, "audience": 2, "pixel": 0}, "quote": quote}
    answer = client.post(PURCHASE, body)
    made = answer.get_json()
    assert (answer.status_code, made["total_cents"], made["currency"]) == (201, 400 * 1500 + 2 * 2500, "usd")
    assert [(each["type"], each["quantity"], each["credits"]) for each in made["lines"]] == [
        ("audience", 2, 2), ("enrichment", 400, 400)
    ]  # fmt: skip
    assert {each["type"]: each["available"] for each in made["balances"]} == {
        "audience": 2,
        "enrichment": 400,
    }
    assert bought() == [(2, 5000), (400, 600_000)]
    assert balance_of(agency.clients[0], "enrichment").balance == 400
    assert overage_owed(agency.clients[0]).total_cents == 605_000
    assert db.session.scalar(select(OverageOrder.public_id)) == made["order_id"]


def test_a_key_buys_once_also_at_once(app, client, quote):
    body, answers = {"quantities": {"pixel": 3}, "quote": quote}, []
    threads = [
        threading.Thread(target=lambda: answers.append(client.post(PURCHASE, body, key="one")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {201, 409}
    again = client.post(PURCHASE, body, key="one")
    assert again.status_code == 201
    assert {a.data for a in answers if a.status_code == 201} | {again.data} == {again.data}
    assert bought() == [(3, 3000)]
    assert client.post(PURCHASE, body | {"quantities": {"pixel": 4}}, key="one").status_code == 409
    assert bought() == [(3, 3000)]


def test_a_changed_price_is_told_and_nothing_bought(client, agency, quote, problem_of):
    set_price(Scope(agency_id=agency.id, client_id=agency.clients[0]), "pixel", 1100, actor="user:1")
    answer = client.post(PURCHASE, {"quantities": {"pixel": 3}, "quote": quote})
    assert problem_of(answer) == (409, "price_changed")
    told = answer.get_json(force=True)
    assert {price["type"]: price["price_cents"] for price in told["prices"]}["pixel"] == 1100
    assert bought() == [] and db.session.scalar(select(func.count(Grant.id))) == 0
    assert client.post(PURCHASE, {"quantities": {"pixel": 3}, "quote": told["quote"]}).status_code == 201


def test_the_limit_says_what_is_left(client, agency, quote, problem_of):
    set_owed_limit(agency.clients[0], 4000, "user:1")
    client.post(PURCHASE, {"quantities": {"pixel": 3}, "quote": quote})
    answer = client.post(PURCHASE, {"quantities": {"pixel": 2}, "quote": quote})
    assert problem_of(answer) == (402, "overage_limit_reached")
    told = answer.get_json(force=True)
    assert (told["required_cents"], told["left_cents"], told["limit_cents"]) == (2000, 1000, 4000)
    assert bought() == [(3, 3000)]


@pytest.mark.parametrize(
    ("quantities", "field"),
    [
        ({}, "quantities"), ({"pixel": 0}, "quantities"), ({"gold": 1}, "quantities.gold"),
        ({"pixel": -1}, "quantities.pixel"), ({"pixel": 1.5}, "quantities.pixel"), (None, "quantities"),
        ({"pixel": 10**9 + 1}, "quantities.pixel"), ({"pixel": True}, "quantities.pixel"), ([1], "quantities"),
    ],
)  # fmt: skip
def test_wrong_quantities_are_named(client, quote, problem_of, quantities, field):
    answer = client.post(PURCHASE, {"quantities": quantities, "quote": quote})
    assert problem_of(answer) == (422, "invalid_request")
    assert [error["field"] for error in answer.get_json(force=True)["errors"]] == [field]
    assert bought() == []


def test_the_quote_is_required(client, problem_of):
    answer = client.post(PURCHASE, {"quantities": {"pixel": 1}})
    assert problem_of(answer) == (422, "invalid_request")
    assert answer.get_json(force=True)["errors"][0]["field"] == "quote"


@pytest.mark.parametrize(("status", "code"), [("frozen", "account_frozen"), ("past_due", "account_past_due")])
def test_not_where_the_account_may_not(client, agency, quote, problem_of, status, code):
    update_account(agency.clients[0], {"status": status}, actor="user:1")
    assert problem_of(client.post(PURCHASE, {"quantities": {"pixel": 1}, "quote": quote})) == (403, code)
    assert bought() == []


def test_only_with_the_scope(app, agency, quote, problem_of):
    spender = program(app, agency.clients[0], ("read", "spend"))
    assert problem_of(spender.post(PURCHASE, {"quantities": {"pixel": 1}, "quote": quote})) == (
        403,
        "forbidden",
    )
    assert bought() == []


def test_an_agencys_key_does_not_reach_its_clients(app, agency, quote):
    own = program(app, agency.id)
    body = {"quantities": {"pixel": 1}, "quote": quote, "account": "agency-client-1"}
    assert own.post(PURCHASE, body).status_code in (403, 404)
    assert bought() == []

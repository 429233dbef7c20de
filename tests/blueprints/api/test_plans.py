"""Packages, plans, subscription and payments over the API."""

from pathlib import Path

import pytest
from sqlalchemy import select

from extensions import db
from models.billing import Order, Payment
from services.accounts.accounts import NewAccount, create_account
from services.catalog.presets import load_preset
from services.clock import business_now
from services.ledger.balances import balance_of
from tests.blueprints.api.conftest import program
from tests.visitor import Visitor, make_person

CATALOGS = Path(__file__).resolve().parents[3] / "catalogs"


@pytest.fixture
def artist(app):
    """An account of the studio catalogue."""
    load_preset(CATALOGS / "studio.toml")
    account, _ = create_account(NewAccount(name="Artist", catalogue="studio"))
    return account.id


@pytest.fixture
def mine(app, artist):
    return program(app, artist)


class TestPackages:
    def test_locked_without_a_subscription(self, mine, platform):
        before = mine.get("/api/credits/packages").get_json()["packages"]
        assert [(p["credits"], p["price_cents"], p["locked"]) for p in before] == [
            (500, 500, True), (1000, 900, True), (2500, 2000, True), (5000, 3500, True),
        ]  # fmt: skip
        platform.post("/api/user/subscription", {"account": "artist", "plan": "basic"})
        after = mine.get("/api/credits/packages").get_json()["packages"]
        assert not any(p["locked"] for p in after) and all(p["price_id"] for p in after)

    def test_without_a_catalogue_there_are_none(self, own):
        assert own.get("/api/credits/packages").get_json() == {"packages": []}
        assert own.get("/api/plans").get_json() == {"plans": []}


class TestSubscription:
    def test_a_platform_key_sets_a_plan_once(self, mine, platform, artist):
        body = {"account": "artist", "plan": "professional"}
        first = platform.post("/api/user/subscription", body, key="k")
        again = platform.post("/api/user/subscription", body, key="k")
        assert first.status_code == 200 and first.data == again.data
        found = mine.get("/api/user/subscription").get_json()
        assert found == first.get_json()
        assert (found["has_active_subscription"], found["plan"], found["status"]) == (
            True,
            "professional",
            "comped",
        )
        assert (found["price"], found["price_cents"], found["interval"]) == (29.99, 2999, "month")
        assert balance_of(artist, "credits").balance == 1000
        current = [p["code"] for p in mine.get("/api/plans").get_json()["plans"] if p["is_current"]]
        assert current == ["professional"]

    def test_an_accounts_key_may_not(self, mine, artist, problem_of):
        assert problem_of(mine.post("/api/user/subscription", {"plan": "basic"})) == (403, "forbidden")
        assert balance_of(artist, "credits").balance == 0

    @pytest.mark.parametrize(
        ("body", "refused"),
        [({"plan": "gold"}, (404, "not_found")), ({}, (422, "invalid_request")),
         ({"plan": "basic", "interval": "week"}, (422, "invalid_request"))],
    )  # fmt: skip
    def test_bad_plans(self, platform, artist, problem_of, body, refused):
        response = platform.post("/api/user/subscription", {"account": "artist", **body})
        assert problem_of(response) == refused
        assert balance_of(artist, "credits").balance == 0


class TestPayments:
    def test_newest_first_in_pages(self, own, acme):
        for number in range(3):
            db.session.add(
                Payment(
                    public_id=f"p{number}", account_id=acme, description="Starter", amount_cents=999,
                    currency="usd", status="paid", created_at=business_now(),
                )
            )  # fmt: skip
        db.session.commit()
        body = own.get("/api/user/payments", limit=2).get_json()
        assert [p["id"] for p in body["payments"]] == ["p2", "p1"]
        assert body["payments"][0]["amount"] == 9.99
        assert body["pagination"] == {"total": 3, "limit": 2, "offset": 0, "has_more": True}

    def test_other_account_is_404(self, own, other, problem_of):
        for path in ("/api/user/payments", "/api/user/subscription", "/api/plans", "/api/credits/packages"):
            assert problem_of(own.get(path, account="other")) == (404, "not_found")


class TestPurchase:
    @pytest.fixture
    def subscriber(self, app, platform, artist):
        platform.post("/api/user/subscription", {"account": "artist", "plan": "basic"})
        yield program(app, artist)
        app.extensions["payments"].stop()

    def orders(self):
        db.session.rollback()
        return db.session.scalars(select(Order)).all()

    def test_answers_with_a_session_and_credits_nothing_yet(self, subscriber, artist):
        before = balance_of(artist, "credits").balance
        response = subscriber.post("/api/credits/purchase", {"package": "credits-500"}, key="k")
        body = response.get_json()
        assert (response.status_code, body["credits"]) == (201, 500)
        assert body["session_id"].startswith("cs_") and body["url"].startswith("http")
        again = subscriber.post("/api/credits/purchase", {"package": "credits-500"}, key="k")
        assert again.data == response.data and again.headers["Idempotent-Replayed"] == "true"
        assert [(order.status, order.credits) for order in self.orders()] == [("open", 500)]
        assert balance_of(artist, "credits").balance == before

    def test_by_price_id_and_without_a_key_each_is_its_own(self, subscriber):
        price = subscriber.get("/api/credits/packages").get_json()["packages"][0]["price_id"]
        for _ in range(2):
            assert subscriber.post("/api/credits/purchase", {"priceId": price}).status_code == 201
        assert len(self.orders()) == 2

    @pytest.mark.parametrize(
        ("body", "refused"),
        [
            ({}, (422, "invalid_request")),
            ({"package": "credits-500", "price_id": "x"}, (422, "invalid_request")),
            ({"package": "gold"}, (404, "not_found")),
            ({"package": "credits-500", "success_url": "https://evil.example/"}, (422, "invalid_request")),
            ({"package": "credits-500", "email": "nobody"}, (422, "invalid_request")),
        ],
    )
    def test_bad_requests_make_no_order(self, subscriber, problem_of, body, refused):
        assert problem_of(subscriber.post("/api/credits/purchase", body)) == refused
        assert self.orders() == []

    def test_locked_without_a_subscription(self, mine, problem_of):
        response = mine.post("/api/credits/purchase", {"package": "credits-500"})
        assert problem_of(response) == (403, "subscription_required")

    def test_needs_the_scope_manage(self, app, artist, problem_of):
        response = program(app, artist, ("read", "spend")).post(
            "/api/credits/purchase", {"package": "credits-500"}
        )
        assert problem_of(response) == (403, "forbidden")
        assert self.orders() == []

    def test_a_viewers_browser_may_not(self, app, subscriber, artist, problem_of):
        make_person("viewer@example.com", artist, "viewer")
        make_person("owner@example.com", artist, "owner")
        answers = {}
        for who in ("viewer", "owner"):
            visitor = Visitor(app)
            visitor.sign_in(f"{who}@example.com")
            headers = {"X-CSRFToken": visitor.token()}
            answers[who] = visitor.client.post(
                "/api/credits/purchase", json={"package": "credits-500"}, headers=headers
            )
        assert problem_of(answers["viewer"]) == (403, "forbidden")
        assert answers["owner"].status_code == 201

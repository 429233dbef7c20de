"""Packages, plans, subscription and payments over the API."""

from pathlib import Path

import pytest

from extensions import db
from models.billing import Payment
from services.accounts.accounts import NewAccount, create_account
from services.catalog.presets import load_preset
from services.clock import business_now
from services.ledger.balances import balance_of
from tests.blueprints.api.conftest import program

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

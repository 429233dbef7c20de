"""Accounts over the API."""

import pytest
from sqlalchemy import func, select

from extensions import db
from models.accounts import Account
from tests.blueprints.api.conftest import program


def count():
    return db.session.scalar(select(func.count()).select_from(Account))


class TestCreate:
    def test_same_external_id_is_the_same_account(self, platform):
        body = {"external_id": "u-1", "name": "Ünïcode & Söhne", "email": "a@example.com", "locale": "de-CH"}
        first = platform.post("/api/accounts", body)
        second = platform.post("/api/accounts", body)
        assert (first.status_code, second.status_code, count()) == (201, 200, 1)
        assert first.get_json() == second.get_json()
        assert first.get_json()["slug"] == "unicode-sohne"
        assert first.get_json()["locale"] == "de_CH"
        assert platform.get("/api/accounts/u-1").get_json() == first.get_json()

    def test_taken_slug_is_a_conflict(self, platform, acme, problem_of):
        response = platform.post("/api/accounts", {"name": "A", "slug": "acme"})
        assert problem_of(response) == (409, "conflict")
        assert platform.post("/api/accounts", {"name": "Acme"}).get_json()["slug"] == "acme-2"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "name"), ({"name": " "}, "name"), ({"name": 5}, "name"), ({"name": "a\u0007"}, "name"),
            ({"name": "A", "slug": "Has Space"}, "slug"), ({"name": "A", "email": "nobody"}, "email"),
            ({"name": "A", "time_zone": "Mars/Base"}, "time_zone"),
            ({"name": "A", "time_zone": "../etc"}, "time_zone"), ({"name": "A", "locale": "xx_YY"}, "locale"),
            ({"name": "A", "kind": "bank"}, "kind"), ({"name": "A", "currency": "zzz"}, "currency"),
            ({"name": "A", "agency": "acme"}, "agency"), ({"name": "A", "catalogue": "none"}, "catalogue"),
            ({"name": "A", "external_id": ""}, "external_id"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_named(self, platform, acme, problem_of, body, field):
        response = platform.post("/api/accounts", body)
        assert problem_of(response) == (422, "invalid_request")
        assert field in [error["field"] for error in response.get_json(force=True)["errors"]]
        assert count() == 1

    def test_an_accounts_key_may_not(self, own, problem_of):
        assert problem_of(own.post("/api/accounts", {"name": "B"})) == (403, "forbidden")

    def test_a_platform_key_needs_manage(self, app, problem_of):
        reader = program(app, None, ("read", "spend"))
        assert problem_of(reader.post("/api/accounts", {"name": "B"})) == (403, "forbidden")

    def test_client_under_an_agency(self, platform):
        platform.post("/api/accounts", {"name": "Agents", "kind": "agency"})
        client = platform.post("/api/accounts", {"name": "C", "agency": "agents"}).get_json()
        assert (client["agency"], client["kind"]) == ("agents", "client")


class TestRead:
    def test_own_key_reads_itself_alone(self, own, other, problem_of):
        assert own.get("/api/accounts/acme").get_json()["slug"] == "acme"
        assert problem_of(own.get("/api/accounts/other")) == (404, "not_found")
        assert problem_of(own.get("/api/accounts")) == (403, "forbidden")

    def test_list_goes_by_cursor(self, platform, acme, other):
        first = platform.get("/api/accounts", limit=1).get_json()
        assert first["pagination"]["has_more"] is True
        cursor = first["pagination"]["next_cursor"]
        second = platform.get("/api/accounts", limit=1, cursor=cursor).get_json()
        assert [a["slug"] for a in first["accounts"] + second["accounts"]] == ["acme", "other"]
        assert second["pagination"] == {"limit": 1, "has_more": False, "next_cursor": None}


class TestChange:
    def test_changes_and_names_follow(self, platform, acme, problem_of):
        body = {"name": "New", "slug": "newer", "external_id": "x/1", "status": "frozen", "email": "e@x.org"}
        response = platform.patch("/api/accounts/acme", body)
        assert response.status_code == 200
        assert {field: response.get_json()[field] for field in body} == body
        assert problem_of(platform.get("/api/accounts/acme")) == (404, "not_found")
        assert platform.get("/api/accounts/x/1").get_json()["slug"] == "newer"
        cleared = platform.patch("/api/accounts/newer", {"external_id": None, "email": None}).get_json()
        assert (cleared["external_id"], cleared["email"]) == (None, None)
        assert problem_of(platform.get("/api/accounts/x/1")) == (404, "not_found")

    def test_own_key_changes_only_harmless_fields(self, own, problem_of):
        assert own.patch("/api/accounts/acme", {"time_zone": "Asia/Tokyo"}).status_code == 200
        assert problem_of(own.patch("/api/accounts/acme", {"status": "active"})) == (403, "forbidden")

    @pytest.mark.parametrize("body", [{"name": None}, {"status": "parked"}, {"slug": "x y"}, {"locale": "q"}])
    def test_what_is_wrong_is_refused(self, platform, acme, problem_of, body):
        assert problem_of(platform.patch("/api/accounts/acme", body)) == (422, "invalid_request")
        assert db.session.get(Account, acme).slug == "acme"

    def test_taken_names_are_a_conflict(self, platform, acme, other, problem_of):
        for body in ({"slug": "other"}, {"external_id": "other"}):
            assert problem_of(platform.patch("/api/accounts/acme", body)) == (409, "conflict")

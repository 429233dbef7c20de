"""Signing in by a token of the team's program: once, briefly, as the person it names."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from sqlalchemy import select

from extensions import db
from models.accounts import Membership, User
from tests.conftest import make_account, running_app, settings_for
from tests.visitor import Visitor, make_person

SECRET = "a-shared-secret-of-the-team-0123456789abcdef"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    yield from running_app(settings_for(tmp_path, jwt_secret=SECRET))


def token(number: int = 1, **claims: Any) -> str:
    facts = {
        "aud": "coffer-sso", "sub": "acme", "jti": f"sign-in-{number}", "email": "mia@acme.example",
        "exp": int(time.time()) + 60,
    }  # fmt: skip
    return jwt.encode({n: v for n, v in (facts | claims).items() if v is not None}, SECRET, "HS256")


def roles(account_id: int) -> dict[str, str]:
    db.session.rollback()
    query = select(User.email, Membership.role).join(Membership, Membership.user_id == User.id)
    return dict(db.session.execute(query.where(Membership.account_id == account_id)).all())


class TestSignOn:
    def test_a_newcomer_is_made_and_sees_the_account(self, app: Flask) -> None:
        account_id = make_account("acme")
        visitor = Visitor(app)
        answer = visitor.get(f"/sso?token={token()}")
        assert (answer.status_code, answer.location) == (303, "/home/acme/overview")
        assert visitor.get("/home/acme/overview").status_code == 200
        assert roles(account_id) == {"mia@acme.example": "viewer"}

    def test_it_leads_where_next_says_but_never_elsewhere(self, app: Flask) -> None:
        make_account("acme")
        assert Visitor(app).get(f"/sso?token={token(1)}&next=/home/acme/usage").location == "/home/acme/usage"
        away = Visitor(app).get(f"/sso?token={token(2)}&next=//evil.example")
        assert away.location == "/home/acme/overview"

    def test_a_token_is_good_once(self, app: Flask) -> None:
        make_account("acme")
        one = token()
        assert Visitor(app).get(f"/sso?token={one}").status_code == 303
        again = Visitor(app)
        assert again.get(f"/sso?token={one}").status_code == 401
        assert not again.is_signed_in()

    def test_a_role_is_given_and_kept_where_none_is_named(self, app: Flask) -> None:
        account_id = make_account("acme")
        make_person("anna@acme.example", account_id, "owner")
        Visitor(app).get(f"/sso?token={token(1, role='member')}")
        Visitor(app).get(f"/sso?token={token(2)}")
        assert roles(account_id)["mia@acme.example"] == "member"
        Visitor(app).get(f"/sso?token={token(3, role='viewer')}")
        assert roles(account_id)["mia@acme.example"] == "viewer"

    def test_a_person_who_is_there_is_no_second_one(self, app: Flask) -> None:
        account_id = make_account("acme")
        user_id = make_person("mia@acme.example", account_id, "owner")
        Visitor(app).get(f"/sso?token={token(email='MIA@acme.example')}")
        assert roles(account_id) == {"mia@acme.example": "owner"}
        assert db.session.scalars(select(User.id)).all() == [user_id]


class TestRefusal:
    @pytest.mark.parametrize(
        ("claims", "status"),
        [
            ({"aud": None}, 401),
            ({"aud": "coffer"}, 401),
            ({"jti": None}, 401),
            ({"jti": 5}, 401),
            ({"email": None}, 401),
            ({"email": "no address"}, 422),
            ({"role": "operator"}, 422),
            ({"exp": 1}, 401),
            ({"exp": 10**18}, 401),
            ({"sub": "nobody"}, 404),
        ],
    )
    def test_wrong_claims_let_nobody_in(self, app: Flask, claims: dict[str, Any], status: int) -> None:
        account_id = make_account("acme")
        visitor = Visitor(app)
        assert visitor.get(f"/sso?token={token(**claims)}").status_code == status
        assert not visitor.is_signed_in()
        assert roles(account_id) == {}

    def test_longer_than_five_minutes_is_refused(self, app: Flask) -> None:
        make_account("acme")
        assert Visitor(app).get(f"/sso?token={token(exp=int(time.time()) + 400)}").status_code == 401

    def test_an_operator_does_not_come_in_this_way(self, app: Flask) -> None:
        make_account("acme")
        make_person("mia@acme.example", is_operator=True)
        visitor = Visitor(app)
        assert visitor.get(f"/sso?token={token()}").status_code == 403
        assert not visitor.is_signed_in()

    @pytest.mark.parametrize("query", ["", "?token=", "?token=x", "?token=a&token=b"])
    def test_no_token_is_unauthorized(self, app: Flask, query: str) -> None:
        assert Visitor(app).get(f"/sso{query}").status_code == 401

    def test_a_sign_in_token_is_no_key_of_the_api(self, app: Flask) -> None:
        make_account("acme")
        headers = {"Authorization": f"Bearer {token()}"}
        assert Visitor(app).get("/api/credits/balance", headers=headers).status_code == 401

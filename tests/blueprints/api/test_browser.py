"""The browser's session as a caller: reads one's own accounts; unsafe calls need the CSRF token."""

import pytest

from services.ledger.balances import balance_of
from tests.visitor import Visitor, make_person


@pytest.fixture
def visitor(app, acme, other):
    make_person("ann@example.com", acme, "viewer")
    visitor = Visitor(app)
    visitor.sign_in("ann@example.com")
    return visitor


class TestBrowser:
    def test_reads_ones_own_account(self, visitor):
        assert visitor.get("/api/credits/balance").get_json()["account"] == "acme"
        assert visitor.get("/api/credits/history?account=acme").status_code == 200
        assert visitor.get("/api/accounts/acme").status_code == 200

    def test_others_are_missing(self, visitor, problem_of):
        assert problem_of(visitor.get("/api/credits/balance?account=other")) == (404, "not_found")
        assert problem_of(visitor.get("/api/accounts")) == (403, "forbidden")

    def test_operators_read_every_account(self, app, acme, problem_of):
        make_person("op@example.com", is_operator=True)
        operator = Visitor(app)
        operator.sign_in("op@example.com")
        assert operator.get("/api/credits/balance?account=acme").get_json()["balance"] == 100
        assert problem_of(operator.get("/api/credits/balance")) == (422, "invalid_request")

    def test_signed_out_is_401(self, app, problem_of):
        stranger = Visitor(app)
        stranger.get("/sign-in")
        assert problem_of(stranger.get("/api/credits/balance")) == (401, "unauthorized")

    @pytest.mark.parametrize("headers", [{}, {"X-CSRFToken": ""}, {"X-CSRFToken": "forged"}])
    def test_cookies_count_for_nothing_without_the_token(self, visitor, problem_of, headers):
        response = visitor.client.post("/api/credits/check", json={"amount": 1}, headers=headers)
        assert problem_of(response) == (401, "unauthorized")

    def test_the_token_makes_it_a_call(self, visitor, acme, problem_of):
        headers = {"X-CSRFToken": visitor.token()}
        checked = visitor.client.post("/api/credits/check", json={"amount": 1}, headers=headers)
        assert checked.get_json()["allowed"] is True
        for path in ("deduct", "grant", "holds"):
            response = visitor.client.post(f"/api/credits/{path}", json={"amount": 1}, headers=headers)
            assert problem_of(response) == (403, "forbidden")
        assert balance_of(acme, "credits").available == 100

    def test_a_key_beside_cookies_is_what_counts(self, visitor, own):
        headers = {"Authorization": f"Bearer {own.token}"}
        assert (
            visitor.client.post("/api/credits/deduct", json={"amount": 1}, headers=headers).status_code == 200
        )

"""Holds: open, capture, release."""

import pytest

from extensions import db
from models.ledger import Hold
from services.ledger.balances import balance_of
from tests.blueprints.api.conftest import program


@pytest.fixture
def hold_id(own):
    return own.post("/api/credits/holds", {"amount": 40, "task_id": "t"}).get_json()["id"]


class TestHold:
    def test_sets_credits_aside(self, own, acme):
        response = own.post("/api/credits/holds", {"amount": 40, "expires_in": 60})
        body = response.get_json()
        assert response.status_code == 201
        assert (body["status"], body["amount"], body["available"]) == ("open", 40, 60)
        assert body["expires_at"].endswith("Z")
        position = balance_of(acme, "credits")
        assert (position.balance, position.held) == (100, 40)

    @pytest.mark.parametrize("seconds", [0, 86401, -1, True, "x", 1.5])
    def test_expires_in_is_bounded(self, own, problem_of, seconds):
        response = own.post("/api/credits/holds", {"amount": 1, "expires_in": seconds})
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == "expires_in"

    def test_more_than_available_is_402(self, own, hold_id, problem_of):
        assert problem_of(own.post("/api/credits/holds", {"amount": 61})) == (402, "insufficient_credits")


class TestCapture:
    def test_part_returns_the_rest(self, own, acme, hold_id):
        response = own.post(f"/api/credits/holds/{hold_id}/capture", {"amount": 15})
        body = response.get_json()
        assert response.status_code == 200
        assert body == {
            "id": hold_id, "status": "captured", "captured": 15, "released": 25,
            "transaction_id": body["transaction_id"], "balance_after": 85,
        }  # fmt: skip
        assert (balance_of(acme, "credits").held, db.session.get(Hold, hold_id).status) == (0, "captured")

    def test_empty_body_captures_all(self, own, hold_id):
        response = own.post(f"/api/credits/holds/{hold_id}/capture", raw=b"", content_type=None)
        assert response.get_json()["captured"] == 40

    def test_second_capture_is_hold_not_open(self, own, hold_id, problem_of):
        own.post(f"/api/credits/holds/{hold_id}/capture")
        assert problem_of(own.post(f"/api/credits/holds/{hold_id}/capture")) == (409, "hold_not_open")

    def test_more_than_held_is_422(self, own, acme, hold_id, problem_of):
        response = own.post(f"/api/credits/holds/{hold_id}/capture", {"amount": 41})
        assert problem_of(response) == (422, "invalid_request")
        assert balance_of(acme, "credits").held == 40

    def test_other_accounts_hold_is_as_missing(self, app, other, hold_id):
        stranger = program(app, other)
        of_other = stranger.post(f"/api/credits/holds/{hold_id}/capture")
        of_none = stranger.post("/api/credits/holds/999999/capture")
        assert of_other.status_code == of_none.status_code == 404
        assert of_other.data == of_none.data

    @pytest.mark.parametrize("number", ["0", "-1", "x", str(2**63), "9" * 40])
    def test_impossible_numbers_are_404(self, own, problem_of, number):
        assert problem_of(own.post(f"/api/credits/holds/{number}/capture")) == (404, "not_found")


class TestRelease:
    def test_gives_everything_back(self, own, acme, hold_id):
        response = own.post(f"/api/credits/holds/{hold_id}/release")
        assert response.get_json() == {"id": hold_id, "status": "released"}
        assert balance_of(acme, "credits").available == 100

    def test_scope_spend_is_needed(self, app, acme, hold_id, problem_of):
        response = program(app, acme, ("read",)).post(f"/api/credits/holds/{hold_id}/release")
        assert problem_of(response) == (403, "forbidden")

"""What every call refuses in the same way, and idempotency."""

import json

import pytest

from services.accounts.api_keys import mint, revoke
from services.ledger.balances import balance_of
from services.ledger.history import HistoryQuery, history
from tests.blueprints.api.conftest import Program, program

DEDUCT = "/api/credits/deduct"


class TestBodies:
    @pytest.mark.parametrize(
        "raw",
        [
            b"", b" ", b"{", b"[]", b"5", b"null", b'"text"', b'{"amount": 1,}',
            b'{"amount": 1, "amount": 1}',
            b"\xff", b'{"amount": 1} x', b"\xef\xbb\xbf{}",
            b'{"amount": 1, "x": ' + b"[" * 20 + b"]" * 20 + b"}",
            b"[" * 100_000, b'{"x":' * 3000, b'{"a": 1, "metadata": {"b": 1, "b": 2}}', b'{"a": "\n"}',
            b"{'amount': 1}", b'[{"amount": NaN}]',
        ],
    )  # fmt: skip
    def test_no_json_object_is_malformed(self, own, acme, problem_of, raw):
        assert problem_of(own.post(DEDUCT, raw=raw)) == (400, "malformed_json")
        assert balance_of(acme, "credits").balance == 100

    @pytest.mark.parametrize(
        ("raw", "field"),
        [
            (b'{"amount": 1, "task_id": "\\ud800"}', "task_id"),
            (b'{"amount": 1, "task_id": "a\\u0000b"}', "task_id"),
            (b'{"amount": 1, "metadata": {"a": ["\\udfff"]}}', "metadata.a.0"),
            (b'{"amount": 1, "metadata": {"\\u0000": 1}}', "metadata.\\0"),
            (b'{"amount": 1, "metadata": {"a": Infinity}}', "metadata.a"),
            (b'{"amount": 1, "metadata": {"a": 1e999}}', "metadata"),
        ],
    )
    def test_unfit_values_are_named(self, own, acme, problem_of, raw, field):
        response = own.post(DEDUCT, raw=raw)
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == field
        assert balance_of(acme, "credits").balance == 100

    def test_twenty_levels_are_fine(self, own):
        raw = b'{"amount": 1, "metadata": {"x": ' + b"[" * 18 + b"]" * 18 + b"}}"
        assert own.post(DEDUCT, raw=raw).status_code == 200

    def test_surrogate_pairs_are_text(self, own):
        own.post(DEDUCT, raw=b'{"amount": 1, "task_id": "\\ud83d\\ude00"}')
        assert own.get("/api/credits/history").get_json()["transactions"][0]["task_id"] == "\N{GRINNING FACE}"

    def test_other_media_types_are_415(self, own, problem_of):
        for content_type in ("text/plain", "application/x-www-form-urlencoded", None):
            response = own.post(DEDUCT, raw='{"amount": 1}', content_type=content_type)
            assert problem_of(response) == (415, "unsupported_media_type")
        assert (
            own.post(DEDUCT, {"amount": 1}, content_type="application/json; charset=utf-8").status_code == 200
        )

    def test_more_than_a_megabyte_is_413(self, own, problem_of):
        raw = json.dumps({"amount": 1, "description": "x" * 1_100_000})
        assert problem_of(own.post(DEDUCT, raw=raw)) == (413, "payload_too_large")

    def test_unknown_members_are_ignored(self, own):
        assert own.post(DEDUCT, {"amount": 1, "colour": "red"}).status_code == 200


class TestPaths:
    def test_unknown_path_is_a_problem(self, own, problem_of):
        for path in ("/api/nothing", "/api/credits/balance/"):
            assert problem_of(own.get(path)) == (404, "not_found")

    def test_wrong_method_says_which_are_allowed(self, own, problem_of):
        response = own.get(DEDUCT)
        assert problem_of(response) == (405, "method_not_allowed")
        assert set(response.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}

    def test_head_and_options(self, app, own):
        client, headers = app.test_client(), {"Authorization": f"Bearer {own.token}"}
        head = client.head("/api/credits/balance", headers=headers)
        assert (head.status_code, head.data) == (200, b"") and head.headers["ETag"]
        options = client.options("/api/credits/balance")
        assert options.status_code == 200 and "GET" in options.headers["Allow"]


class TestCredentials:
    @pytest.mark.parametrize(
        "header",
        ["", "Bearer", "Bearer ", "Bearer cof_wrong", "Basic YTpi", "Bearer eyJhbGciOiJub25lIn0.e30.",
         "Bearer cof_" + "x" * 5000, "Bearer cof_é"],
    )  # fmt: skip
    def test_bad_ones_are_401(self, app, problem_of, header):
        response = app.test_client().get("/api/credits/balance", headers={"Authorization": header})
        assert problem_of(response) == (401, "unauthorized")

    def test_revoked_key_is_401(self, app, acme, problem_of):
        minted = mint(acme, "command")
        revoke(minted.key_id)
        assert problem_of(Program(app, minted.token).get("/api/credits/balance")) == (401, "unauthorized")


class TestIdempotency:
    def test_a_replay_is_the_first_answer(self, own, acme):
        body = {"amount": 7}
        first = own.post(DEDUCT, body, key="k1")
        own.post(DEDUCT, {"amount": 93})
        second = own.post(DEDUCT, body, key="k1")
        assert (second.status_code, second.data) == (200, first.data)
        assert second.headers["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first.headers
        assert balance_of(acme, "credits").balance == 0

    def test_a_refusal_is_replayed_after_credits_came(self, own, acme, problem_of):
        first = own.post(DEDUCT, {"amount": 101}, key="k")
        own.post("/api/credits/grant", {"amount": 50})
        second = own.post(DEDUCT, {"amount": 101}, key="k")
        assert problem_of(second) == (402, "insufficient_credits")
        assert second.data == first.data and second.headers["Idempotent-Replayed"] == "true"
        assert balance_of(acme, "credits").balance == 150

    def test_missing_objects_are_replayed(self, own, problem_of):
        first = own.post("/api/credits/refund", {"transaction_id": 999, "amount": 1}, key="r")
        second = own.post("/api/credits/refund", {"transaction_id": 999, "amount": 1}, key="r")
        assert problem_of(first) == problem_of(second) == (404, "not_found")
        assert second.headers["Idempotent-Replayed"] == "true"

    def test_another_body_or_path_is_a_conflict(self, own, acme, problem_of):
        own.post(DEDUCT, {"amount": 7}, key="k")
        assert problem_of(own.post(DEDUCT, {"amount": 8}, key="k")) == (409, "idempotency_key_reused")
        response = own.post("/api/credits/check", {"amount": 7}, key="k")
        assert problem_of(response) == (409, "idempotency_key_reused")
        assert balance_of(acme, "credits").balance == 93

    def test_invalid_requests_do_not_use_the_key_up(self, own):
        assert own.post(DEDUCT, {"amount": 0}, key="k").status_code == 422
        assert own.post(DEDUCT, {"amount": 1}, key="k").status_code == 200

    def test_each_account_has_its_own_keys(self, app, own, other):
        own.post(DEDUCT, {"amount": 7}, key="k")
        response = program(app, other).post(DEDUCT, {"amount": 8}, key="k")
        assert response.status_code == 200 and "Idempotent-Replayed" not in response.headers
        assert balance_of(other, "credits").balance == 92

    @pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
    def test_keys_are_printable_ascii(self, own, problem_of, key):
        response = own.post(DEDUCT, {"amount": 1}, key=key)
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == "Idempotency-Key"

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/api/credits/check", {"amount": 1}), (DEDUCT, {"amount": 1}),
            ("/api/credits/holds", {"amount": 1}), ("/api/credits/grant", {"amount": 1}),
        ],
    )  # fmt: skip
    def test_every_post_takes_a_key(self, own, acme, path, body):
        first, second = own.post(path, body, key="k"), own.post(path, body, key="k")
        assert (second.data, second.status_code) == (first.data, first.status_code)
        assert second.headers["Idempotent-Replayed"] == "true"

    def test_accounts_replay_in_the_instances_scope(self, platform):
        first = platform.post("/api/accounts", {"name": "A"}, key="k")
        second = platform.post("/api/accounts", {"name": "A"}, key="k")
        assert (second.status_code, second.data) == (201, first.data)

    def test_transfer_is_kept_with_the_giver(self, platform, acme, other):
        body = {"from": "acme", "to": "other", "amount": 10}
        first = platform.post("/api/credits/transfer", body, key="k")
        assert platform.post("/api/credits/transfer", body, key="k").data == first.data
        back = platform.post("/api/credits/transfer", {"from": "other", "to": "acme", "amount": 1}, key="k")
        assert back.status_code == 200 and "Idempotent-Replayed" not in back.headers
        assert history(HistoryQuery(account_id=acme)).total == 3

"""The journal over the API."""

from datetime import timedelta

import pytest

from services.clock import business_now, iso


@pytest.fixture
def spent(own):
    for number in range(5):
        own.post("/api/credits/deduct", {"amount": 1, "task_id": f"t-{number % 2}"})


def ids(response):
    return [line["id"] for line in response.get_json()["transactions"]]


class TestHistory:
    def test_lines_have_every_field(self, own, spent):
        body = own.get("/api/credits/history").get_json()
        line = body["transactions"][0]
        assert set(line) == {
            "id", "sequence", "type", "credit_type", "amount", "balance_before", "balance_after", "task_id",
            "description", "quantity", "unit_cost", "payment_method", "metadata", "created_at",
        }  # fmt: skip
        assert (line["sequence"], line["type"], line["amount"], line["balance_after"]) == (6, "usage", -1, 95)
        assert body["pagination"] == {
            "total": 6, "limit": 50, "offset": 0, "has_more": False, "next_cursor": None,
        }  # fmt: skip

    def test_cursor_and_offset_give_the_same_pages(self, own, spent):
        whole = ids(own.get("/api/credits/history"))
        first = own.get("/api/credits/history", limit=4)
        cursor = first.get_json()["pagination"]["next_cursor"]
        assert first.get_json()["pagination"]["has_more"] is True
        second = ids(own.get("/api/credits/history", limit=4, cursor=cursor))
        assert ids(first) + second == whole
        assert ids(own.get("/api/credits/history", limit=4, offset=4)) == second

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ({"type": "usage"}, 5), ({"type": "purchases"}, 0), ({"type": "bonus"}, 1),
            ({"type": "transactions"}, 6), ({"task_id": "t-0"}, 3), ({"taskId": "t-1"}, 2),
            ({"credit_type": "credits"}, 6),
        ],
    )  # fmt: skip
    def test_filters(self, own, spent, query, count):
        body = own.get("/api/credits/history", **query).get_json()
        assert len(body["transactions"]) == body["pagination"]["total"] == count

    def test_dates_are_half_open(self, own, spent):
        soon = iso(business_now() + timedelta(minutes=1))
        assert len(ids(own.get("/api/credits/history", to=soon))) == 6
        assert ids(own.get("/api/credits/history", **{"from": soon})) == []
        offset = (business_now() + timedelta(hours=1, minutes=1)).strftime("%Y-%m-%dT%H:%M:%S+01:00")
        assert len(ids(own.get("/api/credits/history", to=offset))) == 6

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"limit": "x"}, "limit"),
            ({"offset": -1}, "offset"), ({"offset": 10**30}, "offset"), ({"cursor": 2**63}, "cursor"),
            ({"type": "gold"}, "type"), ({"credit_type": "gold"}, "credit_type"), ({"from": "now"}, "from"),
            ({"to": "2026-13-01"}, "to"), ({"task_id": "a\x00"}, "task_id"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_named(self, own, problem_of, query, field):
        response = own.get("/api/credits/history", **query)
        assert problem_of(response) == (422, "invalid_request")
        assert response.get_json(force=True)["errors"][0]["field"] == field

    def test_other_account_is_404(self, own, other, problem_of):
        assert problem_of(own.get("/api/credits/history", account="other")) == (404, "not_found")

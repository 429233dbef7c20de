"""Events over the API: in published order, for platform keys alone."""

from services.events.journal import publish_journal
from services.events.numbering import number_events
from services.events.publishing import publish
from tests.blueprints.api.conftest import give


def test_a_cursor_reads_on_where_it_stopped(platform, acme, other):
    give(acme, 5)
    publish(other, "payment.succeeded", "p", {"amount_cents": 500})
    publish_journal()
    number_events()
    first = platform.get("/api/events", limit=1).get_json()
    assert first["pagination"] == {"limit": 1, "has_more": True, "next_cursor": 1}
    assert first["events"][0]["account"] == "other" and first["events"][0]["data"] == {"amount_cents": 500}
    second = platform.get("/api/events", cursor=1).get_json()
    told = [(e["account"], e["type"], e["data"]["amount"]) for e in second["events"]]
    assert sorted(told) == [
        ("acme", "credits.granted", 5), ("acme", "credits.granted", 100), ("other", "credits.granted", 100)
    ]  # fmt: skip
    assert platform.get("/api/events", cursor=4).get_json() == {
        "events": [], "pagination": {"limit": 50, "has_more": False, "next_cursor": 4}
    }  # fmt: skip
    assert len(platform.get("/api/events", account="acme").get_json()["events"]) == 2
    assert len(platform.get("/api/events", type="payment.failed").get_json()["events"]) == 0


def test_what_is_wrong_is_named_and_who_may_not_is_refused(platform, own, anonymous, problem_of):
    for wrong in ({"cursor": -1}, {"cursor": "x"}, {"limit": 101}, {"type": "nothing"}):
        assert problem_of(platform.get("/api/events", **wrong)) == (422, "invalid_request")
    assert problem_of(platform.get("/api/events", account="nobody")) == (404, "not_found")
    assert problem_of(own.get("/api/events")) == (403, "forbidden")
    assert anonymous.get("/api/events").status_code == 401

"""Events of the journal and their order: each line in one event, each number once."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from extensions import db
from models.ledger import Transaction
from models.outgoing import OutgoingEvent
from services.events.journal import publish_journal
from services.events.numbering import number_events
from services.events.publishing import publish
from services.events.reading import events_after
from services.ledger.debits import Spend, spend_credits
from services.ledger.grants import Incoming, grant_credits
from services.ledger.reversals import refund_spend
from tests.conftest import make_account, make_credit_type


def give(account_id: int, amount: int, credit_type: str = "credits", **more: Any) -> None:
    grant_credits(
        Incoming(
            account_id=account_id, credit_type=credit_type, amount=amount, source="bonus", actor="t", **more
        )
    )


def spend(account_id: int, amount: int, credit_type: str = "credits") -> int:
    return spend_credits(
        Spend(account_id=account_id, credit_type=credit_type, amount=amount, actor="t")
    ).transaction_id


def published(**only: Any) -> list[dict[str, Any]]:
    publish_journal()
    number_events()
    db.session.rollback()
    return [json.loads(body) for body in events_after(limit=100, **only).bodies]


def test_lines_become_events_once(either_app: Flask) -> None:
    account = make_account("acme", external_id="team-7")
    give(account, 100, expires_at=datetime(2099, 1, 1, tzinfo=UTC), description="Welcome")
    first, last = spend(account, 7), spend(account, 5)
    events = published()
    assert [event["type"] for event in events] == ["credits.granted", "credits.spent"]
    assert [event["sequence"] for event in events] == [1, 2]
    assert {(e["account"], e["external_id"]) for e in events} == {("acme", "team-7")}
    granted, spent = (event["data"] for event in events)
    assert (granted["amount"], granted["source"], granted["balance"]) == (100, "bonus", 100)
    assert granted["expires_at"] == "2099-01-01T00:00:00Z" and granted["description"] == "Welcome"
    assert (spent["amount"], spent["count"], spent["refunded"], spent["balance"]) == (12, 2, 0, 88)
    assert (spent["first_transaction_id"], spent["last_transaction_id"]) == (first, last)
    assert published() == events
    spend(account, 1)
    assert [event["data"]["amount"] for event in published()[2:]] == [1]


def test_a_refunded_spend_is_told_with_the_spends(either_app: Flask) -> None:
    account, money = make_account(), make_credit_type("usd", 4, is_money=True, currency="usd")
    give(account, 100_000, "usd")
    line = spend(account, 225, "usd")
    assert published()[-1]["data"]["amount"] == 0.0225
    refund_spend(account, line, 225, actor="t")
    told = published()[-1]["data"]
    assert (told["amount"], told["count"], told["refunded"], told["refunds"]) == (0, 0, 0.0225, 1)
    assert money and told["credit_type"] == "usd" and told["balance"] == 10


def test_parallel_spends_are_all_in_events(either_app: Flask) -> None:
    account = make_account()
    give(account, 10_000)

    def one(amount: int) -> None:
        with either_app.app_context():
            spend(account, amount)

    def publisher() -> None:
        with either_app.app_context():
            for _ in range(15):
                publish_journal()
                number_events()

    with ThreadPoolExecutor(16) as threads:
        told = threads.submit(publisher)
        for done in [threads.submit(one, amount) for amount in range(1, 65)]:
            done.result()
        told.result()
    events = published(event_type="credits.spent")
    total = db.session.scalar(select(func.sum(-Transaction.amount)).where(Transaction.type == "usage"))
    assert sum(e["data"]["amount"] for e in events) == total == 64 * 65 // 2
    assert sum(e["data"]["count"] for e in events) == 64
    numbers = db.session.scalars(select(OutgoingEvent.sequence).order_by(OutgoingEvent.sequence)).all()
    assert list(numbers) == list(range(1, len(numbers) + 1))


def test_an_event_is_written_once_per_key_and_read_by_its_cursor(either_app: Flask) -> None:
    one, other = make_account("one"), make_account("other")
    for account in (one, one, other):
        publish(account, "payment.succeeded", "payment:1", {"amount_cents": 5})
    number_events()
    first = events_after(limit=1)
    assert first.has_more and first.next_cursor == 1
    rest = events_after(first.next_cursor)
    assert (len(rest.bodies), rest.next_cursor, rest.has_more) == (1, 2, False)
    assert events_after(2).next_cursor == 2
    assert [json.loads(b)["account"] for b in events_after(account_id=other).bodies] == ["other"]


def test_numbers_go_on_after_everything_was_pruned(either_app: Flask) -> None:
    account = make_account()
    publish(account, "payment.failed", "a", {})
    number_events()
    db.session.execute(OutgoingEvent.__table__.delete())
    db.session.commit()
    publish(account, "payment.failed", "b", {})
    number_events()
    assert events_after().next_cursor == 2


def test_long_histories_are_told_in_parts(either_app: Flask, monkeypatch: Any) -> None:
    monkeypatch.setattr("services.events.journal.LINES_AN_EVENT", 4)
    account = make_account()
    give(account, 100)
    for _ in range(9):
        spend(account, 1)
    assert [event["data"]["count"] for event in published(event_type="credits.spent")] == [3, 4, 2]
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(published()[0]["timestamp"])

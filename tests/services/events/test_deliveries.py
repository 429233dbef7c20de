"""Deliveries to a real receiver: signed, at least once, tried again, given up with a notice."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from errors import Conflict, InvalidRequest, NotFound
from extensions import db
from gateways.webhook_sender import WebhookSender
from models.notices import Notice
from models.outgoing import Delivery, DeliveryAttempt, WebhookEndpoint, WebhookSecret
from services.events import deliveries, signing
from services.events.deliveries import WAITS_MINUTES, deliver_due, deliver_now, resend
from services.events.endpoints import (
    MadeEndpoint,
    NewEndpoint,
    create_endpoint,
    disable_endpoint,
    enable_endpoint,
    endpoint_named,
    remove_endpoint,
    roll_secret,
)
from services.events.numbering import number_events
from services.events.publishing import publish
from tests.conftest import make_account
from tests.receiver import Receiver, is_signed, receiver

SENDER = WebhookSender(allows_private=True)
NOW = datetime(2026, 11, 3, 9, tzinfo=UTC)


@pytest.fixture
def box() -> Iterator[Receiver]:
    with receiver() as opened:
        yield opened


@pytest.fixture
def account(either_app: Flask) -> int:
    return make_account("acme", email="bills@acme.example")


def listen(url: str, **more: Any) -> MadeEndpoint:
    return create_endpoint(NewEndpoint(url=url, **more), "user:1", SENDER.check_url)


def happen(account_id: int, key: str = "k", event_type: str = "payment.succeeded") -> None:
    publish(account_id, event_type, key, {"amount_cents": 500})
    number_events()


def run() -> dict[str, int]:
    return deliver_due(SENDER.send)


def rows() -> list[tuple[str, int, int | None]]:
    db.session.rollback()
    found = db.session.scalars(select(Delivery).order_by(Delivery.id))
    return [(row.state, row.attempts, row.status_code) for row in found]


def test_an_event_arrives_signed_and_once(account: int, box: Receiver) -> None:
    made = listen(box.url)
    happen(account)
    assert run() == {"delivered": 1} and run() == {}
    ((headers, body),) = box.came
    assert is_signed(headers, body, made.secret)
    assert not is_signed(headers, body + b" ", made.secret)
    assert not is_signed({**headers, "webhook-timestamp": "1"}, body, made.secret)
    told = json.loads(body)
    assert (told["type"], told["account"], told["sequence"], told["data"]) == (
        "payment.succeeded", "acme", 1, {"amount_cents": 500}
    )  # fmt: skip
    assert told["id"] == headers["webhook-id"] and headers["content-type"] == "application/json"
    assert abs(int(headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    assert rows() == [("delivered", 1, 200)]
    attempt = db.session.scalars(select(DeliveryAttempt)).one()
    assert (attempt.number, attempt.status_code, attempt.response) == (1, 200, "thank you")


def test_who_hears_of_what(account: int, box: Receiver) -> None:
    other = make_account("other")
    with receiver() as theirs, receiver() as failures, receiver() as off:
        listen(box.url)
        listen(theirs.url, account_id=account)
        listen(failures.url, types=("payment.failed", "credits.low"))
        disable_endpoint(listen(off.url).public_id, "user:1")
        happen(account, "a")
        happen(other, "b")
        happen(other, "c", "payment.failed")
        assert run() == {"delivered": 5}
        accounts = [[e["account"] for e in each.events] for each in (box, theirs, failures, off)]
        assert [sorted(each) for each in accounts] == [["acme", "other", "other"], ["acme"], ["other"], []]
        assert failures.events[0]["type"] == "payment.failed"


def test_two_secrets_while_one_is_replaced(account: int, box: Receiver) -> None:
    made = listen(box.url)
    newer = roll_secret(made.public_id, "user:1")
    assert newer != made.secret and endpoint_named(made.public_id).rolling_until is not None
    happen(account)
    run()
    headers, body = box.came[0]
    assert len(headers["webhook-signature"].split()) == 2
    assert is_signed(headers, body, made.secret) and is_signed(headers, body, newer)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25)):
        happen(account, "later")
        run()
        headers, body = box.came[1]
        assert is_signed(headers, body, newer) and not is_signed(headers, body, made.secret)
    kept = db.session.scalars(select(WebhookSecret.sealed)).all()
    assert len(kept) == 2 and not any("whsec" in one or made.secret[6:] in one for one in kept)


def test_waits_grow_until_it_is_given_up_and_the_account_is_told(account: int, box: Receiver) -> None:
    made = listen(box.url, account_id=account)
    box.status = 500
    with time_machine.travel(NOW, tick=False) as clock:
        happen(account)
        waited = []
        for _ in WAITS_MINUTES:
            assert run() == {"to be tried again": 1} and run() == {}
            row = db.session.scalars(select(Delivery)).one()
            waited.append((row.next_attempt_at - datetime.now(UTC)) // timedelta(minutes=1))
            clock.move_to(row.next_attempt_at)
        assert waited == list(WAITS_MINUTES)
        assert run() == {"failed": 1}
        assert rows() == [("failed", 10, 500)] and len(box.came) == 10
        assert len({headers["webhook-id"] for headers, _ in box.came}) == 1
        assert len({body for _, body in box.came}) == 1
        view = endpoint_named(made.public_id)
        assert (view.is_enabled, view.failures) == (False, 10) and "500" in view.disabled_reason
        notice = db.session.scalars(select(Notice)).one()
        assert (notice.kind, notice.account_id) == ("webhook_disabled", account)
        happen(account, "meanwhile")
        assert run() == {}
        box.status = 204
        enable_endpoint(made.public_id, "user:1")
        happen(account, "afterwards")
        assert run() == {"delivered": 1}
        assert endpoint_named(made.public_id).failures == 0


def test_an_endpoint_that_takes_others_stays(account: int, box: Receiver) -> None:
    made = listen(box.url)
    with time_machine.travel(NOW, tick=False) as clock:
        happen(account)
        for number in range(len(WAITS_MINUTES) + 1):
            box.status = 500
            run()
            clock.shift(timedelta(days=1, minutes=1))
            box.status = 200
            happen(account, f"fine-{number}")
            db.session.execute(Delivery.__table__.update().where(Delivery.id == 1).values(
                next_attempt_at=datetime.now(UTC) + timedelta(minutes=1)))  # fmt: skip
            db.session.commit()
            run()
            clock.shift(timedelta(minutes=2))
    assert rows()[0][0] == "failed" and endpoint_named(made.public_id).is_enabled


def test_gone_is_gone(account: int, box: Receiver) -> None:
    made = listen(box.url)
    box.status = 410
    happen(account)
    assert run() == {"failed": 1}
    assert endpoint_named(made.public_id).disabled_reason == "It answered 410 Gone."


def test_who_asks_for_time_gets_it(account: int, box: Receiver) -> None:
    listen(box.url)
    box.status, box.headers = 429, {"Retry-After": "3600"}
    happen(account)
    run()
    row = db.session.scalars(select(Delivery)).one()
    assert row.next_attempt_at - datetime.now(UTC) > timedelta(minutes=59)


def test_one_that_is_slow_does_not_stop_the_others(account: int, box: Receiver) -> None:
    listen("http://127.0.0.1:1/nobody")
    listen(box.url)
    for number in range(30):
        happen(account, str(number))
    counts = run()
    assert counts["delivered"] == 30 and counts["to be tried again"] == deliveries.AT_ONCE_PER_ENDPOINT
    assert len({event["id"] for event in box.events}) == 30


def test_resending_and_what_is_not_theirs(account: int, box: Receiver) -> None:
    made, other = listen(box.url), listen(box.url, types=("credits.low",))
    happen(account)
    run()
    resend(1, made.public_id, "user:1")
    assert run() == {"delivered": 1}
    assert len(box.came) == 2 and rows() == [("delivered", 2, 200)]
    assert db.session.scalar(select(func.count()).select_from(DeliveryAttempt)) == 2
    assert deliver_now(1, SENDER.send) == "delivered"
    for wrong in ((1, other.public_id), (99, made.public_id)):
        with pytest.raises(NotFound):
            resend(*wrong, "user:1")
    disable_endpoint(made.public_id, "user:1")
    with pytest.raises(Conflict):
        resend(1, made.public_id, "user:1")


def test_a_removed_endpoint_hears_no_more(account: int, box: Receiver) -> None:
    made = listen(box.url)
    happen(account)
    remove_endpoint(made.public_id, "user:1")
    happen(account, "later")
    assert run() == {} and rows() == [("failed", 0, None)]
    with pytest.raises(NotFound):
        endpoint_named(made.public_id)


def test_a_secret_of_another_key_sends_nothing_unsigned(account: int, box: Receiver) -> None:
    listen(box.url)
    happen(account)
    signing.use_key("another-secret-key-0123456789abcdef0123")
    assert run() == {"to be tried again": 1}
    assert not box.came and "SECRET_KEY" in (db.session.scalars(select(Delivery)).one().error or "")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "https://example.com/", "types": ("credits.stolen",)}, "types"),
        ({"url": "https://example.com/", "description": "x" * 201}, "description"),
    ],
)
def test_what_is_wrong_is_named(app: Flask, given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        create_endpoint(NewEndpoint(**given), "user:1", WebhookSender().check_url)
    assert refusal.value.errors[0].field == field
    assert db.session.scalar(select(func.count()).select_from(WebhookEndpoint)) == 0


KILLED_WHILE_SENDING = """
import os, signal, sys
from pathlib import Path
from tests.conftest import settings_for
from app import create_app
from services.events.deliveries import deliver_due
def send_and_die(url, headers, body):
    app.extensions["webhook_sender"].send(url, headers, body)
    os.kill(os.getpid(), signal.SIGKILL)
app = create_app(settings_for(Path(sys.argv[1]), outgoing_private_addresses=True))
with app.app_context():
    deliver_due(send_and_die)
"""


def test_killed_between_sending_and_noting_it_comes_again(app: Flask, box: Receiver, tmp_path: Path) -> None:
    listen(box.url)
    happen(make_account())
    root = Path(__file__).resolve().parents[3]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_SENDING, str(tmp_path)], cwd=root, timeout=60,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert len(box.came) == 1 and rows() == [("queued", 1, None)]
    assert run() == {}
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6)):
        assert run() == {"delivered": 1}
    assert len({headers["webhook-id"] for headers, _ in box.came}) == 1 and len(box.came) == 2

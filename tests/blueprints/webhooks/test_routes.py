"""POST /webhooks/stripe: 200 once stored, 400 for what is not Stripe's, never a 500."""

import json
import time

import pytest
from flask import Flask
from sqlalchemy import func, select

from extensions import db
from models.inbox import InboxEvent
from sandbox.webhooks import signature
from services.unit_of_work import atomic
from tests.conftest import running_app, settings_for
from tests.shop import SECRET, Shop, end_state
from tests.visitor import OutsideClient


def count() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(InboxEvent.id))) or 0


def bought(shop: Shop) -> dict:
    started = shop.start()
    shop.pay(started.session_id)
    (event,) = shop.events("checkout.session.completed")
    return event


class TestStripeWebhook:
    def test_stored_answered_processed(self, either_shop: Shop) -> None:
        event = bought(either_shop)
        answer = either_shop.deliver(event)
        assert (answer.status_code, answer.json) == (200, {"received": True})
        assert either_shop.deliver(event).status_code == 200
        assert count() == 1
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]
        row = db.session.scalar(select(InboxEvent))
        assert row is not None and row.body is not None
        assert json.loads(row.body) == event and row.state == "processed"

    @pytest.mark.parametrize(("secret", "seconds"), [("whsec_forged", 0), (SECRET, -400), (SECRET, 400)])
    def test_forged_old_or_of_the_future(self, shop: Shop, secret: str, seconds: int) -> None:
        answer = shop.deliver(bought(shop), secret=secret, at=int(time.time()) + seconds)
        assert answer.status_code == 400
        assert answer.content_type == "application/problem+json"
        assert answer.json is not None and answer.json["code"] == "bad_request"
        assert count() == 0 and end_state()["lots"] == []

    def test_the_older_secret_still_counts(self, shop: Shop) -> None:
        assert shop.deliver(bought(shop), secret="whsec_older").status_code == 200

    @pytest.mark.parametrize("body", [b"", b"{", b"null", b"\xff\xfe", b'{"id": "\\u0000"}', b"[" * 50_000])
    def test_odd_bodies_signed_or_not(self, shop: Shop, body: bytes) -> None:
        for header in (None, "", "nonsense", signature(SECRET, body)):
            assert shop.post(body, header).status_code == 400
        assert count() == 0

    def test_too_large(self, shop: Shop) -> None:
        body = b" " * (1024 * 1024 + 1)
        assert shop.post(body, signature(SECRET, body)).status_code == 413

    def test_other_methods(self, shop: Shop) -> None:
        client = OutsideClient(shop.app, shop.app.response_class)
        assert client.get("/webhooks/stripe").status_code == 405

    def test_database_gone_is_no_success(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        @atomic
        def full(*_: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr("blueprints.webhooks.routes.store_event", full)
        assert shop.deliver(bought(shop)).status_code == 503


class TestWithoutASecret:
    def test_503(self, tmp_path) -> None:
        settings = settings_for(tmp_path, stripe_secret_key="sk_test_x", stripe_api_base="http://127.0.0.1:9")
        for app in running_app(settings):
            assert isinstance(app, Flask)
            answer = OutsideClient(app, app.response_class).post("/webhooks/stripe", data=b"{}")
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
            assert count() == 0

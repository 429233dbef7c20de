"""A shop for tests: an account that may buy, the real Stripe library, the sandbox behind HTTP."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from pydantic import SecretStr
from sqlalchemy import select
from werkzeug.test import TestResponse

from extensions import db
from gateways.payments import Terms
from gateways.stripe_gateway import StripeGateway
from models.billing import Order, Payment
from models.inbox import InboxEvent
from models.ledger import Grant, Transaction
from sandbox import SandboxServer
from sandbox.api import _public
from sandbox.paying import pay_checkout, settle_debit
from sandbox.webhooks import signature
from services.billing.purchases import StartedPurchase, start_purchase
from services.catalog.presets import load_preset
from services.clock import business_now
from services.unit_of_work import unit_is_open
from tests.conftest import make_account
from tests.visitor import OutsideClient

CATALOGS = Path(__file__).resolve().parents[1] / "catalogs"
KEY = "sk_test_shop"
SECRET = "whsec_of_the_shop"
BASE_URL = "http://127.0.0.1:5000"
GOOD = "4242424242424242"
DECLINED = "4000000000000002"
BANK = "000123456789"


class Shop:
    """One account, ``acme``, that may buy the packages of ``devtools``."""

    def __init__(self, app: Flask, server: SandboxServer):
        self.app = app
        self.server = server
        self.sandbox = server  # ``shop.sandbox.advance()``: what is due by the product's clock happens
        self.payments = StripeGateway(KEY, server.base_url, Terms(base_url=BASE_URL), unit_is_open)
        app.extensions["payments"] = self.payments
        load_preset(CATALOGS / "devtools.toml")
        self.account_id = make_account("acme", email="billing@acme.example")

    def start(self, package: str = "popular", key: str = "form-1", **more: Any) -> StartedPurchase:
        """Begin a purchase."""
        return start_purchase(
            self.account_id, package, request_key=key, actor="user:1", payments=self.payments, **more
        )

    def pay(self, session_id: str, card: str = GOOD, **more: Any) -> dict[str, Any]:
        """What the customer does on the hosted page."""
        return pay_checkout(self.server.store, session_id, card, **more)

    def settle(self, session_id: str, *, succeeds: bool = True) -> None:
        """The bank's answer to a debit."""
        settle_debit(self.server.store, session_id, succeeds=succeeds)

    def refund(self, session_id: str, **amount: int) -> None:
        """A refund made at the provider."""
        intent = self.server.store.get("checkout.session", session_id)["payment_intent"]
        client = self.payments._client
        client.v1.refunds.create({"payment_intent": intent, **amount})  # type: ignore[arg-type,typeddict-item]

    def events(self, *types: str) -> list[dict[str, Any]]:
        """What the provider has told so far, oldest first."""
        found = reversed(list(self.server.store.all("event")))
        return [_public(event) for event in found if not types or event["type"] in types]

    def deliver(self, event: dict[str, Any], *, at: int | None = None, secret: str = SECRET) -> TestResponse:
        """One delivery of an event, processed before this returns."""
        body = json.dumps(event).encode()
        answer = self.post(body, signature(secret, body, int(time.time()) if at is None else at))
        self.app.extensions["inbox_worker"].wait()
        db.session.rollback()
        return answer

    def post(self, body: bytes, header: str | None) -> TestResponse:
        """A delivery as it comes over the wire."""
        client = OutsideClient(self.app, self.app.response_class)
        headers = {"Stripe-Signature": header} if header is not None else {}
        return client.post("/webhooks/stripe", data=body, headers=headers, content_type="application/json")

    def calls(self, path: str) -> list[dict[str, Any]]:
        """The parameters of every POST that reached the provider."""
        return [given for method, at, given in self.server.api.calls if method == "POST" and at == path]

    def sessions(self) -> list[dict[str, Any]]:
        """The Checkout Sessions at the provider."""
        return list(self.server.store.all("checkout.session"))


@contextmanager
def open_shop(app: Flask, folder: Path) -> Iterator[Shop]:
    """A shop on a sandbox of its own."""
    # Two secrets, as while one is being replaced.
    app.extensions["settings"].stripe_webhook_secret = SecretStr(f"whsec_older,{SECRET}")
    server = SandboxServer(folder / "sandbox.sqlite", KEY, now=business_now).start()
    try:
        yield Shop(app, server)
    finally:
        app.extensions["inbox_worker"].stop()
        server.stop()


def end_state() -> dict[str, Any]:
    """What a purchase has left behind, for comparison."""
    db.session.rollback()
    return {
        "orders": [(o.status, o.flag) for o in db.session.scalars(select(Order).order_by(Order.id))],
        "payments": [
            (p.status, p.amount_cents, p.refunded_cents, p.failure)
            for p in db.session.scalars(select(Payment).order_by(Payment.id))
        ],
        "lots": [
            (g.amount, g.remaining, g.revoked, g.unrecovered)
            for g in db.session.scalars(select(Grant).order_by(Grant.id))
        ],
        "lines": [
            (t.type, t.amount) for t in db.session.scalars(select(Transaction).order_by(Transaction.id))
        ],
    }


def inbox_states() -> dict[str, str]:
    """The state of each event by its id."""
    db.session.rollback()
    return {row.stripe_event_id: row.state for row in db.session.scalars(select(InboxEvent))}

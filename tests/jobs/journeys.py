"""Customers in the product's own wiring, whose time goes by with journeys."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import select

from extensions import db
from jobs.time_travel import Traveller, traveller_for
from models.billing import Payment
from models.catalog import Catalog
from models.ledger import Grant, Transaction
from payments_wiring import pay_in_sandbox
from sandbox.paying import pay_checkout
from services.billing.fulfilment import fulfil_checkout
from services.billing.purchases import start_card_setup, start_subscription
from services.catalog.presets import load_preset
from services.clock import business_now
from services.operations.time_travel import Journey, last_journey
from tests.conftest import assert_ledger_is_whole, make_account
from tests.services.billing.subscriber import SHELF


class Town:
    """An instance with its sandbox, as the server runs it."""

    def __init__(self, app: Flask):
        self.app = app
        load_preset(SHELF)
        self.payments = app.extensions["payments"]
        self.sandbox = self.payments.local_sandbox()

    def account(self, name: str) -> int:
        """Another customer of the studio."""
        catalog_id = db.session.scalar(select(Catalog.id).where(Catalog.code == "shelf"))
        return make_account(name, email=f"{name}@example.com", catalog_id=catalog_id)

    def subscribe(self, account_id: int, interval: str = "month") -> None:
        """Take the plan of 1,120 credits a month, through Checkout."""
        started = start_subscription(
            account_id, "pro", interval, request_key=secrets.token_hex(8), actor="user:1",
            payments=self.payments,
        )  # fmt: skip
        pay_in_sandbox(self.app, started.session_id)
        fulfil_checkout(started.session_id, "checkout", self.payments)
        self.rest()

    def use_card(self, account_id: int, card: str) -> None:
        """Keep another card, through Checkout."""
        started = start_card_setup(
            account_id, request_key=secrets.token_hex(8), actor="user:1", payments=self.payments
        )
        pay_checkout(self.sandbox.store, started.session_id, card, authenticated=True)
        self.rest()

    def traveller(self) -> Traveller:
        """A driver, as of a process that has just started."""
        return traveller_for(self.app)

    def rest(self) -> None:
        """Have every event processed that was told so far."""
        with self.sandbox.held_back():
            self.traveller()._settle()

    def travel(self, to_at: datetime | timedelta, *, proof: bool = False) -> Journey:
        """A whole journey; ``proof``: the ledger is proved at each of its instants."""
        traveller = self.traveller()
        traveller.begin(business_now() + to_at if isinstance(to_at, timedelta) else to_at, "user:1")
        traveller.drive((lambda _journey: assert_ledger_is_whole()) if proof else (lambda _journey: None))
        db.session.rollback()
        journey = last_journey()
        assert journey is not None
        return journey

    def payments_of(self, account_id: int) -> list[Payment]:
        """In order."""
        db.session.rollback()
        query = select(Payment).where(Payment.account_id == account_id).order_by(Payment.id)
        return list(db.session.scalars(query))

    def lots_of(self, account_id: int) -> list[Grant]:
        """In order."""
        db.session.rollback()
        return list(
            db.session.scalars(select(Grant).where(Grant.account_id == account_id).order_by(Grant.id))
        )

    def lines_of(self, account_id: int, kind: str) -> list[Transaction]:
        """The journal's lines of a kind, in order."""
        db.session.rollback()
        query = select(Transaction).where(Transaction.account_id == account_id, Transaction.type == kind)
        return list(db.session.scalars(query.order_by(Transaction.id)))


@contextmanager
def open_town(app: Flask) -> Iterator[Town]:
    """An instance with its sandbox; both are stopped afterwards."""
    try:
        yield Town(app)
    finally:
        app.extensions["inbox_worker"].stop()
        app.extensions["payments"].stop()

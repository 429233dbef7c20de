"""A customer who subscribes: plans of ``studio`` and ``devtools``, the sandbox, a clock that is moved."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import time_machine
from flask import Flask
from sqlalchemy import select

from extensions import db
from models.accounts import Account
from models.billing import Payment, Subscription
from models.catalog import Catalog
from models.ledger import Grant
from sandbox.billing_clock import advance
from services.billing.plan_successors import begin_changed_subscriptions
from services.billing.purchases import start_card_setup, start_subscription
from services.billing.subscriptions import SubscriptionView, grant_monthly_credits, subscription_of
from services.catalog.presets import load_preset
from services.ledger.balances import balance_of
from tests.conftest import assert_ledger_is_whole, make_account
from tests.shop import CATALOGS, GOOD, Shop, open_shop

SHELF = Path(__file__).with_name("shelf.toml")
LATER_DECLINED = "4000000000000341"
ASKS = "4000002760003184"


class Subscriber:
    """An account of a catalogue with two paid plans, and everything it goes through."""

    def __init__(self, shop: Shop, clock: time_machine.Traveller, catalog: str):
        self.shop, self.clock = shop, clock
        load_preset(SHELF if catalog == "shelf" else CATALOGS / f"{catalog}.toml")
        catalog_id = db.session.scalar(select(Catalog.id).where(Catalog.code == catalog))
        self.account_id = make_account("sub", email="sub@example.com", catalog_id=catalog_id)
        self._told: set[str] = set()
        self._forms = 0

    def form(self) -> str:
        """The token of another form."""
        self._forms += 1
        return f"form-{self._forms}"

    def subscribe(self, plan: str, interval: str = "month", card: str = GOOD, **more: Any) -> dict[str, Any]:
        """Through Checkout, to its end."""
        started = start_subscription(
            self.account_id, plan, interval, request_key=self.form(), actor="user:1",
            payments=self.shop.payments,
        )  # fmt: skip
        paid = self.shop.pay(started.session_id, card, **more)
        self.hear()
        return paid

    def use_card(self, card: str) -> None:
        """Keep another card, through Checkout."""
        started = start_card_setup(
            self.account_id, request_key=self.form(), actor="user:1", payments=self.shop.payments
        )
        self.shop.pay(started.session_id, card, authenticated=True)
        self.hear()

    def hear(self) -> None:
        """Deliver what the provider has told since the last time."""
        for event in self.shop.events():
            if event["id"] not in self._told:
                self._told.add(event["id"])
                assert self.shop.deliver(event).status_code == 200

    def move(self, moment: datetime, *, hear: bool = True) -> None:
        """Let time pass: the provider renews, we hear of it, our job runs, the proof holds."""
        self.clock.move_to(moment)
        advance(self.shop.server.store)
        if hear:
            self.hear()
        begin_changed_subscriptions(self.shop.payments)
        advance(self.shop.server.store)
        if hear:
            self.hear()
        grant_monthly_credits()
        assert_ledger_is_whole()

    def view(self) -> SubscriptionView:
        """The subscription as its owner sees it."""
        db.session.rollback()
        return subscription_of(self.account_id)

    def lots(self) -> list[tuple[int, datetime | None]]:
        """What was granted, and until when."""
        db.session.rollback()
        rows = db.session.scalars(select(Grant).where(Grant.account_id == self.account_id).order_by(Grant.id))
        return [(lot.amount, lot.expires_at) for lot in rows]

    def amounts(self) -> list[int]:
        """How much was granted, in order."""
        return [amount for amount, _ in self.lots()]

    def payments(self) -> list[tuple[str, int]]:
        """Status and amount of each payment, in order."""
        db.session.rollback()
        rows = db.session.scalars(
            select(Payment).where(Payment.account_id == self.account_id).order_by(Payment.id)
        )
        return [(row.status, row.amount_cents) for row in rows]

    def status(self) -> str:
        """Of the account."""
        db.session.rollback()
        return db.session.get_one(Account, self.account_id).status

    def balance(self) -> int:
        """What can be spent now."""
        db.session.rollback()
        return balance_of(self.account_id, "credits").available

    def rows(self) -> list[tuple[str, str]]:
        """Status and interval of every subscription that there was."""
        db.session.rollback()
        found = db.session.scalars(
            select(Subscription).where(Subscription.account_id == self.account_id).order_by(Subscription.id)
        )
        return [(row.status, row.interval) for row in found]


@contextmanager
def subscriber_at(
    app: Flask, folder: Path, moment: datetime, catalog: str = "studio"
) -> Iterator[Subscriber]:
    """A customer at a moment, on a sandbox of its own."""
    with time_machine.travel(moment, tick=False) as clock, open_shop(app, folder) as shop:
        yield Subscriber(shop, clock, catalog)


def utc(*moment: int) -> datetime:
    """An instant."""
    return datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type, misc]

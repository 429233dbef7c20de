"""A seller with plans and a customer with a card, on a sandbox whose clock is moved."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import stripe

from sandbox import SandboxServer
from sandbox.billing_clock import advance
from sandbox.cards import CARDS
from sandbox.methods import new_method
from tests.sandbox.conftest import GOOD, client_of

LATER_DECLINED = "4000000000000341"


class Scene:
    """A sandbox whose clock is moved, two plans, a customer with a card."""

    def __init__(self, serving: Callable[..., SandboxServer], **options: Any):
        self.at = datetime(2026, 1, 31, 12, tzinfo=UTC)
        self.server = serving(now=lambda: self.at, **options)
        self.client = client_of(self.server.base_url)
        product = self.client.v1.products.create({"name": "Pro"}).id
        self.month = self.price(product, 1000, "month")
        self.dear = self.price(self.client.v1.products.create({"name": "Team"}).id, 3000, "month")
        self.year = self.price(product, 10000, "year")
        self.customer = self.client.v1.customers.create({"email": "ann@acme.example"}).id
        self.use_card(GOOD)

    def price(self, product: str, amount: int, interval: str) -> str:
        return self.client.v1.prices.create({
            "product": product, "unit_amount": amount, "currency": "usd", "recurring": {"interval": interval},
        }).id  # type: ignore[typeddict-item]  # fmt: skip

    def use_card(self, number: str) -> str:
        method = new_method(self.server.store, CARDS[number], self.customer) | {"_is_set_up": True}
        self.server.store.put(method)
        settings = {"invoice_settings": {"default_payment_method": method["id"]}}
        self.client.v1.customers.update(self.customer, settings)  # type: ignore[arg-type]
        return method["id"]

    def subscribe(self, price: str | None = None, **more: Any) -> stripe.Subscription:
        given = {"customer": self.customer, "items": [{"price": price or self.month}], **more}
        return self.client.v1.subscriptions.create(given)  # type: ignore[arg-type]

    def subscription(self, subscription_id: str) -> stripe.Subscription:
        return self.client.v1.subscriptions.retrieve(subscription_id)

    def change(self, subscription: stripe.Subscription, price: str, **more: Any) -> stripe.Subscription:
        item = subscription["items"].data[0].id
        given = {"items": [{"id": item, "price": price}], **more}
        return self.client.v1.subscriptions.update(subscription.id, given)  # type: ignore[arg-type]

    def move(self, *moment: int) -> None:
        self.at = datetime(*moment, tzinfo=UTC)
        advance(self.server.store)

    def invoices(self) -> list[tuple[str, int, str]]:
        listed = self.client.v1.invoices.list({"customer": self.customer, "limit": 100}).data[::-1]
        return [(str(i.billing_reason), i.total, str(i.status)) for i in listed]

    def ends(self, subscription_id: str) -> datetime:
        item = self.subscription(subscription_id)["items"].data[0]
        return datetime.fromtimestamp(item.current_period_end, UTC)

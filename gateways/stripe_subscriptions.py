"""Subscriptions, invoices and kept cards at Stripe: the part of the gateway that ``subscriptions.py`` asks for."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

import stripe

from gateways.payments import UnknownToProvider
from gateways.stripe_facts import id_of, plain
from gateways.stripe_subscription_facts import (
    card_facts,
    intent_of_invoice,
    invoice_facts,
    preview_facts,
    price_facts,
    subscription_facts,
)
from gateways.subscriptions import (
    CardFacts,
    ChangeRequest,
    InvoiceFacts,
    NewSubscription,
    PreviewFacts,
    PriceFacts,
    PriceRequest,
    ProductRequest,
    SubscriptionFacts,
)

T = TypeVar("T")
# Of a subscription: the card it is charged with.
WITH_CARD = {"expand": ["default_payment_method"]}
WITH_PAYMENT = {"expand": ["payments.data.payment.payment_intent"]}
SUBSCRIPTIONS_LOOKED_AT = 100
INVOICES_LOOKED_AT = 24


class StripeSubscriptions:
    """Mixed into ``StripeGateway``, which brings the client and the translation of errors."""

    _client: stripe.StripeClient
    _ask: Callable[..., Any]
    _listed: Callable[..., Iterator[dict[str, Any]]]

    def have_product(self, request: ProductRequest) -> str:
        """The id of the product, made or brought up to date."""
        params: dict[str, Any] = {"name": request.name, "metadata": request.metadata, "active": True}
        if request.product_id is not None:
            try:
                found = plain(self._ask(lambda: self._client.v1.products.retrieve(request.product_id)))
            except UnknownToProvider:
                found = {}
            kept = {name: found.get(name) for name in params}
            if found and kept != params:
                self._ask(lambda: self._client.v1.products.update(request.product_id, params))
            if found:
                return str(request.product_id)
        options = {"idempotency_key": f"coffer-product-{request.key}"}
        return str(self._ask(lambda: self._client.v1.products.create(params, options)).id)

    def have_price(self, request: PriceRequest) -> PriceFacts:
        """The price of the lookup key; where it costs something else, a new one takes the key over."""
        listed = self._ask(lambda: self._client.v1.prices.list({"lookup_keys": [request.lookup_key]}))
        current = next((price_facts(item) for item in listed.data), None)
        wanted = (request.product_id, request.amount_cents, request.currency, request.interval)
        known = current and (current.product_id, current.amount_cents, current.currency, current.interval)
        if current is not None and current.is_active and known == wanted:
            return current
        params: dict[str, Any] = {
            "product": request.product_id, "unit_amount": request.amount_cents, "currency": request.currency,
            "lookup_key": request.lookup_key, "transfer_lookup_key": True,
            "metadata": {"coffer_instance": request.instance, "catalog": request.catalog,
                         request.kind: request.code},
        }  # fmt: skip
        if request.interval is not None:
            params["recurring"] = {"interval": request.interval}
        made = price_facts(self._ask(lambda: self._client.v1.prices.create(params)))
        if current is not None:
            self._ask(lambda: self._client.v1.prices.update(current.id, {"active": False}))
        return made

    def have_coupon(self, coupon_id: str, percent: int, months: int, name: str) -> str:
        """A coupon of so many per cent for so many months, made where it is not there; its id."""
        try:
            return str(self._ask(lambda: self._client.v1.coupons.retrieve(coupon_id)).id)
        except UnknownToProvider:
            pass
        params: dict[str, Any] = {"id": coupon_id, "percent_off": percent, "name": name}
        params |= (
            {"duration": "repeating", "duration_in_months": months} if months > 1 else {"duration": "once"}
        )
        return str(self._ask(lambda: self._client.v1.coupons.create(params)).id)

    def subscription(self, subscription_id: str) -> SubscriptionFacts:
        """The subscription as it is now. Raises UnknownToProvider."""
        return subscription_facts(
            self._ask(lambda: self._client.v1.subscriptions.retrieve(subscription_id, WITH_CARD))
        )

    def subscriptions_of(self, customer_id: str) -> list[SubscriptionFacts]:
        """Every subscription of a customer, ended ones too, newest first."""
        params = {"customer": customer_id, "status": "all", "limit": SUBSCRIPTIONS_LOOKED_AT}
        listed = self._ask(lambda: self._client.v1.subscriptions.list(params))
        return [subscription_facts(item) for item in listed.data]

    def price(self, price_id: str) -> PriceFacts:
        """The price as it is now. Raises UnknownToProvider."""
        return price_facts(self._ask(lambda: self._client.v1.prices.retrieve(price_id)))

    def invoice_of_intent(self, intent_id: str) -> str | None:
        """The id of the invoice that a payment intent pays; None where it pays none."""
        params: Any = {"payment": {"type": "payment_intent", "payment_intent": intent_id}, "limit": 1}
        listed = self._ask(lambda: self._client.v1.invoice_payments.list(params))
        return next((id_of(plain(item), "invoice") for item in listed.data), None)

    def invoices_of(self, subscription_id: str) -> list[InvoiceFacts]:
        """The paid invoices of a subscription, oldest first."""
        params = {"subscription": subscription_id, "status": "paid", "limit": INVOICES_LOOKED_AT,
                  "expand": ["data.payments"]}  # fmt: skip
        listed = self._ask(lambda: self._client.v1.invoices.list(params))
        return [_with_intent(plain(item)) for item in reversed(listed.data)]

    def invoice(self, invoice_id: str) -> InvoiceFacts:
        """The invoice as it is now. Raises UnknownToProvider."""
        answer = plain(self._ask(lambda: self._client.v1.invoices.retrieve(invoice_id, WITH_PAYMENT)))
        return _with_intent(answer)

    def preview_change(self, request: ChangeRequest) -> PreviewFacts:
        """What a change would bill at once, changing nothing."""
        params: dict[str, Any] = {
            "subscription": request.subscription_id,
            "subscription_details": {
                "items": [{"id": request.item_id, "price": request.price_id}],
                "proration_behavior": "always_invoice",
                "proration_date": _seconds(request.prorated_at),
            },
        }
        return preview_facts(self._ask(lambda: self._client.v1.invoices.create_preview(params)))

    def change_subscription(self, request: ChangeRequest) -> SubscriptionFacts:
        """Give a subscription another price. Billed now and not paid: it keeps its price, and says so."""
        params: dict[str, Any] = {
            "items": [{"id": request.item_id, "price": request.price_id}],
            "expand": WITH_CARD["expand"],
            "proration_behavior": "none",
        }
        if request.is_billed_now:
            params |= {
                "proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete",
                "proration_date": _seconds(request.prorated_at),
            }  # fmt: skip
        options = {"idempotency_key": f"coffer-change-{request.key}"}
        call = self._client.v1.subscriptions.update
        return subscription_facts(self._ask(lambda: call(request.subscription_id, params, options)))

    def end_with_period(self, subscription_id: str, *, ends: bool, key: str) -> SubscriptionFacts:
        """Let a subscription end with its period, or go on."""
        params: dict[str, Any] = {"cancel_at_period_end": ends, "expand": WITH_CARD["expand"]}
        options = {"idempotency_key": f"coffer-end-{key}"}
        call = self._client.v1.subscriptions.update
        return subscription_facts(self._ask(lambda: call(subscription_id, params, options)))

    def create_subscription(self, request: NewSubscription) -> SubscriptionFacts:
        """Begin a subscription with a kept card. Raises PaymentDeclined, and then there is none."""
        params: dict[str, Any] = {
            "customer": request.customer_id, "items": [{"price": request.price_id}], "off_session": True,
            "default_payment_method": request.payment_method_id, "expand": WITH_CARD["expand"],
            "payment_behavior": "error_if_incomplete",
            "metadata": {"coffer_instance": request.instance, "account": request.account_id},
        }  # fmt: skip
        options = {"idempotency_key": f"coffer-subscribe-{request.key}"}
        return subscription_facts(self._ask(lambda: self._client.v1.subscriptions.create(params, options)))

    def void_invoice(self, invoice_id: str) -> InvoiceFacts:
        """Ask nobody for this money any more."""
        options = {"idempotency_key": f"coffer-void-{invoice_id}"}
        return invoice_facts(
            self._ask(lambda: self._client.v1.invoices.void_invoice(invoice_id, {}, options))
        )

    def pay_invoice(self, invoice_id: str, key: str, payment_method_id: str | None = None) -> InvoiceFacts:
        """Try to collect an open invoice with a kept card. Raises PaymentDeclined."""
        params: dict[str, Any] = {"off_session": True}
        if payment_method_id is not None:
            params["payment_method"] = payment_method_id
        options = {"idempotency_key": f"coffer-pay-{key}"}
        return invoice_facts(self._ask(lambda: self._client.v1.invoices.pay(invoice_id, params, options)))

    def card_of_setup(self, setup_intent_id: str) -> CardFacts | None:
        """The card that a setup kept; None where it kept none."""
        params = {"expand": ["payment_method"]}
        setup = plain(self._ask(lambda: self._client.v1.setup_intents.retrieve(setup_intent_id, params)))
        return card_facts(setup.get("payment_method")) if setup.get("status") == "succeeded" else None

    def default_card(self, customer_id: str) -> CardFacts | None:
        """The card that a customer is charged with; None: none. Raises UnknownToProvider."""
        params = {"expand": ["invoice_settings.default_payment_method"]}
        customer = plain(self._ask(lambda: self._client.v1.customers.retrieve(customer_id, params)))
        if customer.get("deleted"):
            raise UnknownToProvider("The customer is deleted.", "customer")
        return card_facts((customer.get("invoice_settings") or {}).get("default_payment_method"))

    def use_card(self, customer_id: str, payment_method_id: str, subscription_id: str | None) -> None:
        """Charge a kept card from now on, a subscription's invoices too."""
        settings: Any = {"invoice_settings": {"default_payment_method": payment_method_id}}
        self._ask(lambda: self._client.v1.customers.update(customer_id, settings))
        if subscription_id is not None:
            chosen: Any = {"default_payment_method": payment_method_id}
            self._ask(lambda: self._client.v1.subscriptions.update(subscription_id, chosen))

    def portal_url(self, customer_id: str, return_url: str) -> str:
        """A page of the provider where the customer sees invoices and cards."""
        params = {"customer": customer_id, "return_url": return_url}
        return str(self._ask(lambda: self._client.v1.billing_portal.sessions.create(params)).url)

    def invoices_since(self, moment: datetime) -> Iterator[InvoiceFacts]:
        """Every invoice made since a moment, newest first."""
        return map(invoice_facts, self._listed(self._client.v1.invoices.list, moment))


def _with_intent(invoice: dict[str, Any]) -> InvoiceFacts:
    intent = intent_of_invoice(invoice)
    if isinstance(intent, str):
        intent = {"id": intent}
    return invoice_facts(invoice, intent)


def _seconds(moment: datetime | None) -> int:
    assert moment is not None, "a change that is billed now is prorated at an instant"
    return int(moment.timestamp())

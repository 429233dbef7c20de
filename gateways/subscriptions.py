"""What Coffer asks of a payment provider about subscriptions, invoices and kept cards, in our own words.

``stripe_subscriptions.py`` answers it. Units: cents are minor units of the currency.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFacts:
    """A price. ``interval``: month, year, or None of a one-time price; ``plan`` is what we called it when made."""

    id: str
    product_id: str
    catalog: str | None
    plan: str | None
    instance: str | None
    interval: str | None
    amount_cents: int
    currency: str
    is_active: bool
    lookup_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRequest:
    """A price to have under a lookup key: that of the key where it is the same, else a new one in its place."""

    lookup_key: str
    product_id: str
    catalog: str
    code: str
    kind: str
    instance: str
    amount_cents: int
    currency: str
    interval: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRequest:
    """A product to have: the one of ``product_id`` where it still is, else a new one under ``key``."""

    product_id: str | None
    key: str
    name: str
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """A kept card, as its holder knows it."""

    payment_method_id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionFacts:
    """A subscription as it is now. ``status`` in the provider's words; the period is half-open."""

    id: str
    status: str
    customer_id: str | None
    instance: str | None
    account: str | None
    order_id: str | None
    item_id: str
    price: PriceFacts
    period_start: datetime
    period_end: datetime
    anchor_at: datetime
    started_at: datetime
    ended_at: datetime | None
    cancel_at_period_end: bool
    has_pending_update: bool
    latest_invoice_id: str | None
    card: CardFacts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    """What an invoice bills of a price for a time. ``is_proration``: a part of a period, or one given back."""

    price_id: str
    amount_cents: int
    is_proration: bool
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceFacts:
    """An invoice as it is now. ``status``: draft, open, paid, uncollectible or void.

    ``lines``: those of a subscription. ``charge_id``: the charge of ours that it collects. ``failure`` is in words
    for the customer.
    """

    id: str
    status: str
    customer_id: str | None
    subscription_id: str | None
    instance: str | None
    charge_id: str | None
    reason: str
    number: str | None
    lines: tuple[InvoiceLine, ...]
    total_cents: int
    tax_cents: int
    paid_cents: int
    currency: str
    payment_intent_id: str | None
    needs_action: bool
    failure: str | None
    invoice_pdf: str | None
    hosted_invoice_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewFacts:
    """What a change would bill at once."""

    amount_due_cents: int
    currency: str
    lines: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequest:
    """Another price for a subscription. ``key`` is stored or comes from a form, so that it is asked once."""

    key: str
    subscription_id: str
    item_id: str
    price_id: str
    is_billed_now: bool
    prorated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """A subscription to begin with a kept card, nobody being there."""

    key: str
    instance: str
    account_id: str
    customer_id: str
    price_id: str
    payment_method_id: str


class Subscriptions(Protocol):
    """The part of a payment provider that knows subscriptions."""

    def have_product(self, request: ProductRequest) -> str:
        """The id of the product, made or brought up to date."""

    def have_price(self, request: PriceRequest) -> PriceFacts:
        """The price of the lookup key; where it costs something else, a new one takes the key over."""

    def have_coupon(self, coupon_id: str, percent: int, months: int, name: str) -> str:
        """A coupon of so many per cent for so many months, made where it is not there; its id."""

    def subscription(self, subscription_id: str) -> SubscriptionFacts:
        """The subscription as it is now. Raises UnknownToProvider."""

    def subscriptions_of(self, customer_id: str) -> list[SubscriptionFacts]:
        """Every subscription of a customer, ended ones too, newest first."""

    def price(self, price_id: str) -> PriceFacts:
        """The price as it is now. Raises UnknownToProvider."""

    def invoice(self, invoice_id: str) -> InvoiceFacts:
        """The invoice as it is now. Raises UnknownToProvider."""

    def invoice_of_intent(self, intent_id: str) -> str | None:
        """The id of the invoice that a payment intent pays; None where it pays none."""

    def invoices_of(self, subscription_id: str) -> list[InvoiceFacts]:
        """The paid invoices of a subscription, oldest first."""

    def preview_change(self, request: ChangeRequest) -> PreviewFacts:
        """What a change would bill at once, changing nothing."""

    def change_subscription(self, request: ChangeRequest) -> SubscriptionFacts:
        """Give a subscription another price. Billed now and not paid: it keeps its price, and says so."""

    def end_with_period(self, subscription_id: str, *, ends: bool, key: str) -> SubscriptionFacts:
        """Let a subscription end with its period, or go on."""

    def create_subscription(self, request: NewSubscription) -> SubscriptionFacts:
        """Begin a subscription with a kept card. Raises PaymentDeclined, and then there is none."""

    def void_invoice(self, invoice_id: str) -> InvoiceFacts:
        """Ask nobody for this money any more."""

    def pay_invoice(self, invoice_id: str, key: str, payment_method_id: str | None = None) -> InvoiceFacts:
        """Try to collect an open invoice with a kept card. Raises PaymentDeclined."""

    def card_of_setup(self, setup_intent_id: str) -> CardFacts | None:
        """The card that a setup kept; None where it kept none."""

    def default_card(self, customer_id: str) -> CardFacts | None:
        """The card that a customer is charged with; None: none. Raises UnknownToProvider."""

    def use_card(self, customer_id: str, payment_method_id: str, subscription_id: str | None) -> None:
        """Charge a kept card from now on, a subscription's invoices too."""

    def portal_url(self, customer_id: str, return_url: str) -> str:
        """A page of the provider where the customer sees invoices and cards."""

    def invoices_since(self, moment: datetime) -> Iterator[InvoiceFacts]:
        """Every invoice made since a moment, newest first."""

"""What Coffer asks of a payment provider, in our own words. ``stripe_gateway.py`` answers it.

Every call may raise PaymentProviderUnavailable; none may be made while a unit of work is open.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from errors import PaymentDeclined, PaymentProviderUnavailable
from gateways.invoices import Invoices
from gateways.subscriptions import Subscriptions

__all__ = [
    "ChargeFacts",
    "CheckoutRequest",
    "CheckoutSession",
    "CustomerRequest",
    "DisputeFacts",
    "IntentFacts",
    "ListedEvent",
    "PaymentDeclined",
    "PaymentProviderUnavailable",
    "Payments",
    "RefundFacts",
    "RefundRequest",
    "Terms",
    "UnknownToProvider",
]


class UnknownToProvider(Exception):
    """The provider has no object of this id. ``field`` is the parameter that named it, where it says so."""

    def __init__(self, message: str, field: str = ""):
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what terms this instance takes payments."""

    base_url: str
    return_origins: tuple[str, ...] = ()
    automatic_tax: bool = False
    environment: str = "sandbox"

    @property
    def is_live(self) -> bool:
        """Whether real money moves."""
        return self.environment == "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRequest:
    """A customer to make. ``key`` is random and stored, so that a repeated call makes no second one."""

    key: str
    instance: str
    account_id: str
    name: str
    email: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutRequest:
    """A Checkout Session to make for an order. Units: ``price_cents`` in minor units, before tax.

    ``mode``: payment; subscription, of the price ``price_id``, perhaps with a coupon; or setup, of a card.
    """

    order_id: str
    instance: str
    account_id: str
    customer_id: str
    description: str
    price_cents: int
    currency: str
    success_url: str
    cancel_url: str
    expires_at: datetime
    mode: str = "payment"
    price_id: str | None = None
    coupon_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutSession:
    """A Checkout Session as the provider tells it now. Units: cents are minor units.

    ``status``: open, complete or expired. ``total_cents`` includes tax; subtotal and discount do not.
    """

    id: str
    url: str | None
    mode: str
    status: str
    is_paid: bool
    is_live: bool
    order_id: str | None
    instance: str | None
    account_id: str | None
    subtotal_cents: int
    discount_cents: int
    total_cents: int
    currency: str
    payment_intent_id: str | None
    invoice_url: str | None
    invoice_id: str | None
    subscription_id: str | None
    setup_intent_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentFacts:
    """A payment intent. Units: minor units. ``failure`` is in words for the customer."""

    id: str
    status: str
    instance: str | None
    order_id: str | None
    failure: str | None
    charge_id: str | None
    amount_cents: int
    currency: str
    customer_id: str | None
    account: str | None
    is_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeFacts:
    """A charge. Units: cents are minor units; ``refunded_cents`` is cumulative."""

    id: str
    payment_intent_id: str | None
    is_paid: bool
    amount_cents: int
    refunded_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeFacts:
    """A dispute. Units: minor units. ``status``: inquiry (nothing taken yet), open, won or lost."""

    id: str
    charge_id: str | None
    status: str
    amount_cents: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    """Money to give back. Units: minor units. ``id`` is random and stored, so a repeated call gives once.

    ``from_connected``: it went to a connected account, from where it comes back; ``with_fee``: less a fee, of
    which the same share goes back.
    """

    id: str
    instance: str
    payment_intent_id: str
    amount_cents: int
    from_connected: bool = False
    with_fee: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundFacts:
    """A refund. ``charge_id``: of which charge; ``failure`` in the provider's word, where it failed."""

    id: str
    charge_id: str | None
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEvent:
    """An event as the provider still has it; ``body`` is what a delivery would bring."""

    id: str
    type: str
    object_id: str
    body: str


class Payments(Subscriptions, Invoices, Protocol):
    """A payment provider."""

    @property
    def terms(self) -> Terms:
        """Under what terms this instance takes payments."""

    def patience(self) -> AbstractContextManager[None]:
        """All calls inside share the time that one caller may be kept waiting."""

    def create_customer(self, request: CustomerRequest) -> str:
        """Make a customer and return its id. Raises InvalidRequest for an e-mail the provider refuses."""

    def create_checkout(self, request: CheckoutRequest) -> CheckoutSession:
        """Make the session of an order, or find the one an earlier call made.

        Raises UnknownToProvider where the customer is gone.
        """

    def checkout_session(self, session_id: str) -> CheckoutSession:
        """The session as it is now. Raises UnknownToProvider."""

    def session_of_order(self, order_id: str, customer_id: str) -> CheckoutSession | None:
        """The session that was made for an order, looked up among its customer's."""

    def session_of_intent(self, intent_id: str) -> CheckoutSession | None:
        """The session that a payment intent belongs to."""

    def expire_checkout(self, session_id: str) -> CheckoutSession:
        """End an open session, so that it can no longer be paid; the session as it is then."""

    def payment_intent(self, intent_id: str) -> IntentFacts:
        """The payment intent as it is now. Raises UnknownToProvider."""

    def charge(self, charge_id: str) -> ChargeFacts:
        """The charge as it is now. Raises UnknownToProvider."""

    def refund(self, request: RefundRequest) -> RefundFacts:
        """Give money back, or find the refund that an earlier call made.

        Raises InvalidRequest where the provider refuses it: more than is left, a payment under dispute.
        """

    def dispute(self, dispute_id: str) -> DisputeFacts:
        """The dispute as it is now. Raises UnknownToProvider."""

    def sessions_since(self, moment: datetime) -> Iterator[CheckoutSession]:
        """Every Checkout Session made since a moment, newest first."""

    def refunds_since(self, moment: datetime) -> Iterator[RefundFacts]:
        """Every refund made since a moment, newest first."""

    def events_since(self, moment: datetime) -> Iterator[ListedEvent]:
        """Every event since a moment that the provider still has, newest first."""

"""The payment provider: Stripe, through its own library.

Every call that makes something carries an idempotency key of ours, derived from a random id that is stored
before the call: after a crash the same call is made again, not a second thing.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import stripe

from errors import InvalidRequest, PaymentDeclined, PaymentProviderUnavailable
from gateways.payments import (
    ChargeFacts,
    CheckoutRequest,
    CheckoutSession,
    CustomerRequest,
    DisputeFacts,
    IntentFacts,
    ListedEvent,
    RefundFacts,
    RefundRequest,
    Terms,
    UnknownToProvider,
)
from gateways.stripe_facts import (
    charge_facts,
    dispute_facts,
    event_facts,
    intent_facts,
    plain,
    refund_facts,
    session_facts,
)
from gateways.stripe_invoices import MOST_KEYS, RETRY_AFTER_SECONDS, ServerTrouble, StripeInvoices
from gateways.stripe_subscriptions import StripeSubscriptions
from gateways.stripe_transport import PatientSession
from turn import set_aside

logger = logging.getLogger("coffer.stripe")
T = TypeVar("T")
RETRIES = 2
SESSIONS_LOOKED_AT = 100
OBJECTS_A_PAGE = 100


class StripeGateway(StripeSubscriptions, StripeInvoices):
    """Stripe as ``gateways.payments.Payments``. One for the process; it serves many threads."""

    def __init__(
        self,
        key: str,
        api_base: str,
        terms: Terms,
        unit_is_open: Callable[[], bool],
        retries: int = RETRIES,
    ):
        self.terms = terms
        self._unit_is_open = unit_is_open
        self._session = PatientSession(api_base)
        # With a base set, no address of the library's own is left that a call could fall back to.
        bases = {name: api_base for name in ("api", "connect", "files", "meter_events")} if api_base else {}
        self._client = stripe.StripeClient(
            key,
            base_addresses=bases,  # type: ignore[arg-type]
            max_network_retries=retries,
            http_client=stripe.RequestsClient(session=self._session),
        )

    @contextmanager
    def patience(self) -> Iterator[None]:
        """All calls inside share the time that one caller may be kept waiting."""
        with self._session.budget():
            yield

    def create_customer(self, request: CustomerRequest) -> str:
        """Make a customer and return its id. Raises InvalidRequest for an e-mail that Stripe refuses."""
        params = {
            "name": request.name,
            "metadata": {"coffer_instance": request.instance, "account": request.account_id},
        }
        if request.email:
            params["email"] = request.email
        # The name may change between two attempts; another body under one key would be refused.
        digest = hashlib.sha256(repr(params).encode()).hexdigest()[:16]
        options = {"idempotency_key": f"coffer-customer-{request.key}-{digest}"}
        customer = self._ask(lambda: self._client.v1.customers.create(params, options))  # type: ignore[arg-type]
        return str(customer.id)

    def create_checkout(self, request: CheckoutRequest) -> CheckoutSession:
        """Make the session of an order, or find the one an earlier call made.

        Raises UnknownToProvider where the customer is gone.
        """
        with self.patience():
            for number in range(1, MOST_KEYS + 1):
                try:
                    return self._create_checkout(request, number)
                except ServerTrouble as trouble:
                    found = self.session_of_order(request.order_id, request.customer_id)
                    if found is not None and found.status == "open":
                        return found
                    if not trouble.is_kept:
                        break
        raise PaymentProviderUnavailable(retry_after_seconds=RETRY_AFTER_SECONDS)

    def _create_checkout(self, request: CheckoutRequest, number: int) -> CheckoutSession:
        key = f"coffer-checkout-{request.order_id}-{request.customer_id}-{number}"
        params = checkout_parameters(request, self.terms)
        return session_facts(
            self._ask(
                lambda: self._client.v1.checkout.sessions.create(params, {"idempotency_key": key}),  # type: ignore[arg-type]
                tell_trouble=True,
            )
        )

    def checkout_session(self, session_id: str) -> CheckoutSession:
        """The session as it is now. Raises UnknownToProvider."""
        answer = self._ask(
            lambda: self._client.v1.checkout.sessions.retrieve(session_id, {"expand": ["invoice"]})
        )
        return session_facts(answer)

    def session_of_order(self, order_id: str, customer_id: str) -> CheckoutSession | None:
        """The session that was made for an order, looked up among its customer's."""
        params = {"customer": customer_id, "limit": SESSIONS_LOOKED_AT}
        answer = plain(self._ask(lambda: self._client.v1.checkout.sessions.list(params)))  # type: ignore[arg-type]
        found = [session_facts(item) for item in answer.get("data", [])]
        return next((session for session in found if session.order_id == order_id), None)

    def session_of_intent(self, intent_id: str) -> CheckoutSession | None:
        """The session that a payment intent belongs to."""
        params = {"payment_intent": intent_id, "limit": 1}
        answer = plain(self._ask(lambda: self._client.v1.checkout.sessions.list(params)))  # type: ignore[arg-type]
        found = [session_facts(item) for item in answer.get("data", [])]
        return found[0] if found else None

    def expire_checkout(self, session_id: str) -> CheckoutSession:
        """End an open session, so that it can no longer be paid; the session as it is then."""
        options = {"idempotency_key": f"coffer-expire-{session_id}"}
        return session_facts(
            self._ask(lambda: self._client.v1.checkout.sessions.expire(session_id, {}, options))  # type: ignore[arg-type]
        )

    def payment_intent(self, intent_id: str) -> IntentFacts:
        """The payment intent as it is now. Raises UnknownToProvider."""
        return intent_facts(self._ask(lambda: self._client.v1.payment_intents.retrieve(intent_id)))

    def charge(self, charge_id: str) -> ChargeFacts:
        """The charge as it is now. Raises UnknownToProvider."""
        return charge_facts(self._ask(lambda: self._client.v1.charges.retrieve(charge_id)))

    def refund(self, request: RefundRequest) -> RefundFacts:
        """Give money back, or find the refund that an earlier call made. Raises InvalidRequest."""
        params: dict[str, Any] = {
            "payment_intent": request.payment_intent_id,
            "amount": request.amount_cents,
            "metadata": {"coffer_instance": request.instance, "refund": request.id},
        }
        if request.from_connected:
            params |= {
                "reverse_transfer": True,
                **({"refund_application_fee": True} if request.with_fee else {}),
            }
        options = {"idempotency_key": f"coffer-refund-{request.id}"}
        try:
            return refund_facts(self._ask(lambda: self._client.v1.refunds.create(params, options)))  # type: ignore[arg-type]
        except _Refused as refusal:
            raise InvalidRequest.of("amount", refusal.words) from None

    def dispute(self, dispute_id: str) -> DisputeFacts:
        """The dispute as it is now. Raises UnknownToProvider."""
        return dispute_facts(self._ask(lambda: self._client.v1.disputes.retrieve(dispute_id)))

    def sessions_since(self, moment: datetime) -> Iterator[CheckoutSession]:
        """Every Checkout Session made since a moment, newest first."""
        return map(session_facts, self._listed(self._client.v1.checkout.sessions.list, moment))

    def refunds_since(self, moment: datetime) -> Iterator[RefundFacts]:
        """Every refund made since a moment, newest first."""
        return map(refund_facts, self._listed(self._client.v1.refunds.list, moment))

    def events_since(self, moment: datetime) -> Iterator[ListedEvent]:
        """Every event since a moment that Stripe still has, newest first."""
        return map(event_facts, self._listed(self._client.v1.events.list, moment))

    def _listed(self, call: Callable[[Any], Any], moment: datetime, **more: Any) -> Iterator[dict[str, Any]]:
        """Every object of a list, a page at a time; each page has the patience of one call."""
        params: dict[str, Any] = {
            "created": {"gte": int(moment.timestamp())},
            "limit": OBJECTS_A_PAGE,
            **more,
        }
        while True:
            page = self._ask(lambda: call(dict(params)))
            items = [plain(item) for item in page.data]
            yield from items
            if not page.has_more or not items:
                return
            params["starting_after"] = items[-1]["id"]

    def _ask(self, call: Callable[[], T], *, tell_trouble: bool = False) -> T:
        """Make a call, its errors in our words."""
        assert not self._unit_is_open(), "a call to the payment provider inside a unit of work"
        try:
            with self.patience(), set_aside():
                return call()
        except stripe.StripeError as error:
            trouble = ServerTrouble.of(error) if tell_trouble else None
            raise trouble or _translated(error) from error


class _Refused(PaymentProviderUnavailable):
    """Stripe refused the request as it is; its words are for the operator."""

    def __init__(self, words: str):
        super().__init__("The payment provider refused the request.")
        self.words = words


def checkout_parameters(request: CheckoutRequest, terms: Terms) -> dict[str, Any]:
    """What is sent to make a session. The same request gives the same parameters, as its key demands."""
    metadata = {
        "coffer_instance": request.instance,
        "order": request.order_id,
        "account": request.account_id,
    }
    params: dict[str, Any] = {
        "mode": request.mode,
        "customer": request.customer_id,
        "client_reference_id": request.order_id,
        "metadata": metadata,
        "success_url": request.success_url,
        "cancel_url": request.cancel_url,
        "expires_at": int(request.expires_at.timestamp()),
    }
    if request.mode == "setup":
        return params | {"currency": request.currency, "setup_intent_data": {"metadata": metadata}}
    if request.mode == "subscription":
        params["line_items"] = [{"price": request.price_id, "quantity": 1}]
        params["subscription_data"] = {"metadata": metadata}
        if request.coupon_id is not None:
            params["discounts"] = [{"coupon": request.coupon_id}]
    else:
        params |= _one_payment(request, metadata, is_taxed=terms.automatic_tax)
    if terms.automatic_tax:
        params["automatic_tax"] = {"enabled": True}
        params["customer_update"] = {"address": "auto", "name": "auto"}
    return params


def _one_payment(request: CheckoutRequest, metadata: dict[str, str], *, is_taxed: bool) -> dict[str, Any]:
    """What a session in payment mode has of its own."""
    price: dict[str, Any] = {
        "currency": request.currency,
        "unit_amount": request.price_cents,
        "product_data": {"name": request.description},
    }
    if is_taxed:
        price["tax_behavior"] = "exclusive"
    return {
        "line_items": [{"price_data": price, "quantity": 1}],
        # A session's metadata is not copied to its payment intent.
        "payment_intent_data": {"description": request.description, "metadata": metadata},
        "invoice_creation": {"enabled": True, "invoice_data": {"metadata": metadata}},
    }


def _translated(error: stripe.StripeError) -> Exception:
    """An error of Stripe's library in our words. What Stripe says goes to the log, not to the customer."""
    field = str(getattr(error, "param", None) or "")
    if isinstance(error, stripe.CardError):
        return PaymentDeclined(error.user_message or "")
    if isinstance(error, stripe.InvalidRequestError):
        if error.http_status == 404 or error.code == "resource_missing":
            return UnknownToProvider(str(error.user_message or error), field)
        if field == "email":
            return InvalidRequest.of("email", "is refused by the payment provider")
        logger.error("Stripe refused a request: %s (%s, %s)", error.user_message, error.code, field)
        return _Refused(str(error.user_message or error))
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        logger.error("Stripe does not accept STRIPE_SECRET_KEY: %s", error.http_status)
        return PaymentProviderUnavailable("The payment provider does not accept this instance's key.")
    logger.warning("Stripe does not answer: %s, status %s", type(error).__name__, error.http_status)
    return PaymentProviderUnavailable(retry_after_seconds=RETRY_AFTER_SECONDS)

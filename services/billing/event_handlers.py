"""What each kind of event leads to: one short handler each. The object is fetched anew by its id.

A handler says whether the event concerned this instance. Effects are keyed by the object, so two events of
one fact, in any order, leave the same state.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateways.payments import Payments
from services.billing.cards import follow_card, forget_card
from services.billing.environment import instance_id
from services.billing.fulfilment import fulfil_checkout
from services.billing.orders import forget_customer
from services.billing.refunds import apply_dispute, apply_refunds, fulfil_intent
from services.billing.stripe_subscriptions import follow_invoice, follow_subscription
from services.overage.charging import follow_charge


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it is processed: ``item`` is the object as it was then, good for ids and metadata alone.

    ``finish`` notes, in the caller's unit, that it has been processed; without, that is done afterwards.
    """

    id: str
    type: str
    object_id: str
    item: dict[str, Any]
    finish: Callable[[], None] = lambda: None

    @property
    def actor(self) -> str:
        """How the journal names it."""
        return f"stripe:{self.id}"[:80]

    @property
    def instance(self) -> str | None:
        """The instance that the object's metadata names."""
        metadata = self.item.get("metadata")
        found = metadata.get("coffer_instance") if isinstance(metadata, dict) else None
        return found if isinstance(found, str) else None


Handler = Callable[[Event, Payments], bool]


def on_checkout(event: Event, payments: Payments) -> bool:
    """A Checkout was completed, paid later, refused later, or is over."""
    if event.instance != instance_id():
        return False
    return fulfil_checkout(event.object_id, event.actor, payments, event.finish) != "foreign"


def on_payment_intent(event: Event, payments: Payments) -> bool:
    """A payment went through or was refused."""
    if event.instance != instance_id():
        return False
    return fulfil_intent(event.object_id, event.actor, payments)


def on_charge_refunded(event: Event, payments: Payments) -> bool:
    """Some or all of a charge was given back."""
    return apply_refunds(event.object_id, event.actor, payments)


def on_refund(event: Event, payments: Payments) -> bool:
    """A refund changed: it went through later, or failed."""
    charge_id = _id_of(event.item.get("charge"))
    return charge_id is not None and apply_refunds(charge_id, event.actor, payments)


def on_dispute(event: Event, payments: Payments) -> bool:
    """A customer disputes a charge, or the dispute is closed."""
    return apply_dispute(event.object_id, event.actor, payments)


def on_customer_deleted(event: Event, payments: Payments) -> bool:
    """A customer was deleted at the provider; the next purchase makes another."""
    return forget_customer(event.object_id) is not None


def on_subscription(event: Event, payments: Payments) -> bool:
    """A subscription began, changed or ended."""
    if event.instance != instance_id():
        return False
    return follow_subscription(event.object_id, event.actor, payments)


def on_invoice(event: Event, payments: Payments) -> bool:
    """An invoice was paid, refused, needs its payer, or is void: a charge's, or a subscription's."""
    if (event.item.get("metadata") or {}).get("charge"):
        return follow_charge(payments.invoice(event.object_id), event.actor)
    return follow_invoice(event.object_id, event.actor, payments)


def on_customer_updated(event: Event, payments: Payments) -> bool:
    """A customer changed, perhaps the card that is charged."""
    return follow_card(event.object_id, payments)


def on_method_detached(event: Event, payments: Payments) -> bool:
    """A card was taken away."""
    return forget_card(event.object_id)


def _id_of(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


HANDLERS: dict[str, Handler] = {
    "checkout.session.completed": on_checkout,
    "checkout.session.async_payment_succeeded": on_checkout,
    "checkout.session.async_payment_failed": on_checkout,
    "checkout.session.expired": on_checkout,
    "payment_intent.succeeded": on_payment_intent,
    "payment_intent.payment_failed": on_payment_intent,
    "charge.refunded": on_charge_refunded,
    "refund.updated": on_refund,
    "refund.failed": on_refund,
    "charge.dispute.created": on_dispute,
    "charge.dispute.updated": on_dispute,
    "charge.dispute.closed": on_dispute,
    "charge.dispute.funds_reinstated": on_dispute,
    "customer.deleted": on_customer_deleted,
    "customer.updated": on_customer_updated,
    "payment_method.detached": on_method_detached,
    "customer.subscription.created": on_subscription,
    "customer.subscription.updated": on_subscription,
    "customer.subscription.deleted": on_subscription,
    "invoice.paid": on_invoice,
    "invoice.payment_failed": on_invoice,
    "invoice.payment_action_required": on_invoice,
    "invoice.voided": on_invoice,
    "invoice.marked_uncollectible": on_invoice,
}

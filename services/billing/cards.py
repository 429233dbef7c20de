"""The card an account is charged with when nobody is there: kept by Checkout, with consent.

Source: docs/subscriptions.md.
"""

import logging
from dataclasses import dataclass

from sqlalchemy import select

from errors import CofferError, Conflict
from extensions import db
from gateways.payments import CheckoutSession, Payments, UnknownToProvider
from gateways.subscriptions import CardFacts
from models.accounts import Account
from models.billing import Order, SavedCard
from services.billing.orders import forget_customer
from services.billing.stripe_subscriptions import follow_subscription, keep_card
from services.catalog.entitlements import open_subscription
from services.clock import business_now
from services.ledger.opening import lock_accounts
from services.overage.charging import try_with_new_card
from services.unit_of_work import atomic

logger = logging.getLogger("coffer.billing")


@dataclass(frozen=True, slots=True)
class CardView:
    """A kept card, as its holder knows it."""

    payment_method_id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int


@dataclass(frozen=True, slots=True)
class _Payer:
    account_id: int
    customer_id: str | None
    subscription_id: str | None


def saved_card(account_id: int) -> CardView | None:
    """The card that an account is charged with; None: none is kept."""
    card = db.session.get(SavedCard, account_id)
    if card is None:
        return None
    return CardView(card.stripe_payment_method_id, card.brand, card.last4, card.exp_month, card.exp_year)


def start_portal(account_id: int, return_url: str, payments: Payments) -> str:
    """The provider's page with the account's invoices and cards. Raises Conflict where nothing was ever paid."""
    payer = _payer(account_id)
    if payer.customer_id is None:
        raise Conflict("There is nothing at the payment provider yet.")
    try:
        return payments.portal_url(payer.customer_id, return_url)
    except UnknownToProvider:
        forget_customer(payer.customer_id)
        raise Conflict("There is nothing at the payment provider any more.") from None


def use_new_card(session: CheckoutSession, actor: str, payments: Payments) -> bool:
    """Charge the card that a Checkout kept from now on; what is due is tried with it at once.

    Idempotent. Whether there is a card.
    """
    card = payments.card_of_setup(session.setup_intent_id) if session.setup_intent_id else None
    payer = _payer_of_order(session)
    if card is None or payer.customer_id is None:
        return False
    payments.use_card(payer.customer_id, card.payment_method_id, payer.subscription_id)
    _keep(session, card)
    pay_what_is_due(payer.account_id, card.payment_method_id, actor, payments)
    try_with_new_card(payer.account_id, actor, payments)
    return True


def pay_what_is_due(account_id: int, payment_method_id: str, actor: str, payments: Payments) -> bool:
    """Try a subscription's unpaid invoice with a card. Whether it is paid now; a refusal is noted, not raised."""
    payer = _payer(account_id)
    if payer.subscription_id is None:
        return False
    facts = payments.subscription(payer.subscription_id)
    if facts.status not in ("past_due", "unpaid") or facts.latest_invoice_id is None:
        return False
    key = f"{facts.latest_invoice_id}-{payment_method_id}"
    try:
        payments.pay_invoice(facts.latest_invoice_id, key, payment_method_id)
    except CofferError as refusal:
        logger.info("Invoice %s was not paid with the new card: %s", facts.latest_invoice_id, refusal)
    follow_subscription(payer.subscription_id, actor, payments)
    return True


def follow_card(customer_id: str, payments: Payments) -> bool:
    """Note the card that a customer is charged with now. Whether the customer is ours. Idempotent."""
    account_id = _account_of_customer(customer_id)
    if account_id is None:
        return False
    try:
        card = payments.default_card(customer_id)
    except UnknownToProvider:
        forget_customer(customer_id)
        card = None
    _note_card(account_id, card)
    return True


@atomic
def _note_card(account_id: int, card: CardFacts | None) -> None:
    lock_accounts(account_id)
    if card is not None:
        keep_card(account_id, card)
        return
    subscription, kept = open_subscription(account_id), db.session.get(SavedCard, account_id)
    # A subscription may have a card of its own, which the customer's settings do not show.
    if kept is not None and (subscription is None or subscription.stripe_subscription_id is None):
        db.session.delete(kept)


@atomic
def forget_card(payment_method_id: str) -> bool:
    """A card was taken away at the provider. Whether it was the one of an account. Idempotent."""
    kept = db.session.scalar(select(SavedCard).where(SavedCard.stripe_payment_method_id == payment_method_id))
    if kept is None:
        return False
    db.session.delete(kept)
    return True


@atomic
def _keep(session: CheckoutSession, card: CardFacts) -> None:
    order = db.session.scalars(select(Order).where(Order.public_id == session.order_id)).one()
    lock_accounts(order.account_id)
    keep_card(order.account_id, card, consented_by=order.actor)
    if order.status != "paid":
        order.status, order.closed_at = "paid", business_now()


def _payer(account_id: int) -> _Payer:
    customer_id = db.session.scalar(select(Account.stripe_customer_id).where(Account.id == account_id))
    subscription = open_subscription(account_id)
    return _Payer(
        account_id, customer_id, subscription.stripe_subscription_id if subscription is not None else None
    )


def _payer_of_order(session: CheckoutSession) -> _Payer:
    account_id = db.session.scalar(select(Order.account_id).where(Order.public_id == session.order_id))
    assert account_id is not None
    return _payer(account_id)


def _account_of_customer(customer_id: str) -> int | None:
    return db.session.scalar(select(Account.id).where(Account.stripe_customer_id == customer_id))

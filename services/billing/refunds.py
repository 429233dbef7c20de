"""Refunds and disputes that happened at the provider. Source: docs/ledger.md, refund of a payment."""

from sqlalchemy import select

from errors import NotFound
from extensions import db
from gateways.payments import ChargeFacts, Payments, UnknownToProvider
from models.billing import Payment
from services.billing.environment import instance_id
from services.billing.fulfilment import fulfil_checkout
from services.ledger.opening import lock_accounts
from services.ledger.reversals import revoke_payment_credits
from services.unit_of_work import atomic


def apply_refunds(charge_id: str, actor: str, payments: Payments) -> bool:
    """Take back the credits of what has been refunded of a charge, in all. Whether the charge is ours.

    Idempotent: the cumulative amount counts, not how often it is told. Raises NotFound where the provider
    has no such charge.
    """
    charge = _charge(charge_id, payments)
    if not _is_ours(charge, actor, payments):
        return False
    _record_refunds(charge, actor)
    return True


def apply_dispute(dispute_id: str, actor: str, payments: Payments) -> bool:
    """Mark the payment of a dispute, or unmark it where it was won. Whether the charge is ours."""
    try:
        dispute = payments.dispute(dispute_id)
    except UnknownToProvider:
        raise NotFound("The payment provider knows no such dispute.") from None
    if dispute.charge_id is None:
        return False
    charge = _charge(dispute.charge_id, payments)
    if not _is_ours(charge, actor, payments):
        return False
    _record_dispute(charge, is_won=dispute.is_won)
    return True


def _charge(charge_id: str, payments: Payments) -> ChargeFacts:
    try:
        return payments.charge(charge_id)
    except UnknownToProvider:
        raise NotFound("The payment provider knows no such charge.") from None


def _is_ours(charge: ChargeFacts, actor: str, payments: Payments) -> bool:
    """Whether a charge pays one of our orders, which is credited first where nobody has done it yet."""
    intent_id = charge.payment_intent_id
    if intent_id is None or not charge.is_paid:
        return False
    return _is_known(intent_id) or fulfil_intent(intent_id, actor, payments)


@atomic
def _is_known(intent_id: str) -> bool:
    payment = _payment_of(intent_id)
    return payment is not None and payment.status not in ("pending", "failed")


def fulfil_intent(intent_id: str, actor: str, payments: Payments) -> bool:
    """Fulfil the Checkout that a payment intent belongs to. Whether it is one of ours."""
    try:
        intent = payments.payment_intent(intent_id)
    except UnknownToProvider:
        raise NotFound("The payment provider knows no such payment.") from None
    if intent.order_id is None or intent.instance != instance_id():
        return False
    session = payments.session_of_intent(intent_id)
    if session is None:
        raise NotFound(f"Payment {intent_id} is of order {intent.order_id}, but no Checkout has it.")
    return fulfil_checkout(session.id, actor, payments) != "foreign"


def _payment_of(intent_id: str | None) -> Payment | None:
    return db.session.scalar(
        select(Payment)
        .where(Payment.stripe_payment_intent_id == intent_id)
        .execution_options(populate_existing=True)
    )


def _locked_payment(charge: ChargeFacts) -> Payment | None:
    """The payment of a charge, its account locked; None where it was flagged and not credited."""
    payment = _payment_of(charge.payment_intent_id)
    if payment is None:
        return None
    lock_accounts(payment.account_id)
    return _payment_of(charge.payment_intent_id)


@atomic
def _record_refunds(charge: ChargeFacts, actor: str) -> None:
    payment = _locked_payment(charge)
    if payment is None:
        return
    payment.refunded_cents = min(max(charge.refunded_cents, 0), payment.amount_cents)
    if payment.status != "disputed":
        payment.status = _status_by_refunds(payment)
    db.session.flush()
    revoke_payment_credits(
        payment.account_id, payment.id, payment.refunded_cents, payment.amount_cents, actor
    )


@atomic
def _record_dispute(charge: ChargeFacts, *, is_won: bool) -> None:
    payment = _locked_payment(charge)
    if payment is not None:
        payment.status = _status_by_refunds(payment) if is_won else "disputed"


def _status_by_refunds(payment: Payment) -> str:
    if payment.refunded_cents == 0:
        return "paid"
    return "refunded" if payment.refunded_cents >= payment.amount_cents else "partially_refunded"

"""Refunds and disputes that happened at the provider. Source: docs/ledger.md, refund of a payment."""

from sqlalchemy import select

from errors import NotFound
from extensions import db
from gateways.payments import ChargeFacts, DisputeFacts, Payments, UnknownToProvider
from models.billing import Dispute, Payment
from services.billing.environment import instance_id
from services.billing.fulfilment import fulfil_checkout
from services.billing.stripe_subscriptions import follow_invoice
from services.clock import business_now
from services.ledger.opening import lock_accounts
from services.ledger.payment_holds import hold_payment_credits, release_payment_credits
from services.ledger.reversals import revoke_payment_credits
from services.overage.charging import follow_charge
from services.overage.refunded import note_refunded
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
    """Set the credits of a disputed payment aside, take them back or let them go. Whether it is ours.

    Idempotent: how the dispute stands now counts, not how often or in which order it is told.
    """
    try:
        dispute = payments.dispute(dispute_id)
    except UnknownToProvider:
        raise NotFound("The payment provider knows no such dispute.") from None
    if dispute.charge_id is None:
        return False
    charge = _charge(dispute.charge_id, payments)
    if not _is_ours(charge, actor, payments):
        return False
    _record_dispute(charge, dispute, actor)
    return True


def _charge(charge_id: str, payments: Payments) -> ChargeFacts:
    try:
        return payments.charge(charge_id)
    except UnknownToProvider:
        raise NotFound("The payment provider knows no such charge.") from None


def _is_ours(charge: ChargeFacts, actor: str, payments: Payments) -> bool:
    """Whether a charge pays an order or invoice of ours, which is credited first where nobody has yet."""
    intent_id = charge.payment_intent_id
    if intent_id is None or not charge.is_paid:
        return False
    if _is_known(intent_id) or fulfil_intent(intent_id, actor, payments):
        return True
    invoice_id = payments.invoice_of_intent(intent_id)
    if invoice_id is None:
        return False
    invoice = payments.invoice(invoice_id)
    return follow_charge(invoice, actor) if invoice.charge_id else follow_invoice(invoice_id, actor, payments)


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
    settle_payment(payment, actor)


@atomic
def _record_dispute(charge: ChargeFacts, facts: DisputeFacts, actor: str) -> None:
    payment = _locked_payment(charge)
    if payment is None:
        return
    now = business_now()
    row = db.session.scalar(select(Dispute).where(Dispute.stripe_dispute_id == facts.id))
    if row is None:
        row = Dispute(stripe_dispute_id=facts.id, payment_id=payment.id, opened_at=now)
        db.session.add(row)
    row.status, row.amount_cents, row.reason = facts.status, facts.amount_cents, facts.reason[:80]
    row.closed_at = (row.closed_at or now) if facts.status in ("won", "lost") else None
    settle_payment(payment, actor)


def settle_payment(payment: Payment, actor: str) -> None:
    """Bring a locked payment's status and credits in line with what was refunded and disputed of it.

    While a dispute is open, what is left of the lots is set aside; one that is lost counts like a refund; one
    that is won, and a refund that failed later, give the credits back.
    """
    db.session.flush()
    disputes = db.session.scalars(select(Dispute).where(Dispute.payment_id == payment.id)).all()
    states = {dispute.status for dispute in disputes}
    payment.status = "disputed" if states & {"inquiry", "open", "lost"} else status_by_refunds(payment)
    db.session.flush()
    if "open" in states:
        hold_payment_credits(payment.account_id, payment.id, actor)
    else:
        release_payment_credits(payment.account_id, payment.id)
    lost_cents = sum(dispute.amount_cents for dispute in disputes if dispute.status == "lost")
    gone_cents = min(payment.refunded_cents + lost_cents, payment.amount_cents)
    revoke_payment_credits(payment.account_id, payment.id, gone_cents, payment.amount_cents, actor)
    if payment.kind == "overage":
        note_refunded(payment, gone_cents)


def status_by_refunds(payment: Payment) -> str:
    """The status of a settled payment that nobody disputes."""
    if payment.refunded_cents == 0:
        return "paid"
    return "refunded" if payment.refunded_cents >= payment.amount_cents else "partially_refunded"

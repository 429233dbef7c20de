"""How a demand for money ends, or goes on: what follows from a payment, a refusal, no answer, an operator.

Source: docs/overage.md, charges.
"""

import secrets
from datetime import timedelta

from sqlalchemy import select

from errors import Conflict, InvalidRequest, NotFound
from extensions import db
from gateways.invoices import Collection
from gateways.payments import Payments
from gateways.subscriptions import InvoiceFacts
from models.accounts import Account
from models.billing import Payment
from models.overage import OPEN_CHARGES, Charge, ChargeAttempt, OveragePurchase
from services.audit import record
from services.billing.standing import settle_standing
from services.clock import business_now
from services.ledger.opening import lock_accounts
from services.notices.notices import notify
from services.overage.charges import link_grants, purchases_of_charge
from services.overage.dunning_schedule import next_try
from services.unit_of_work import atomic

# An attempt without an answer is gone on with so much later, and later each time.
ASK_AGAIN, ASK_AGAIN_AT_LATEST = timedelta(minutes=5), timedelta(hours=6)


@atomic
def settle_charge(charge_id: int, invoice: InvoiceFacts, actor: str, *, attempt_id: int | None = None) -> str:
    """Record that a charge's invoice is paid: once, whoever hears of it first. The charge's state."""
    charge = _locked(charge_id)
    _finish(charge, attempt_id, "paid", "paid")
    if charge.status not in OPEN_CHARGES:
        return charge.status
    payment = Payment(
        public_id=secrets.token_hex(12), account_id=charge.account_id, kind="overage", status="paid",
        description="Extra credits", amount_cents=invoice.paid_cents,
        tax_cents=min(invoice.tax_cents, invoice.paid_cents), currency=charge.currency,
        stripe_invoice_id=invoice.id, stripe_payment_intent_id=invoice.payment_intent_id,
        invoice_url=invoice.invoice_pdf, created_at=charge.created_at, paid_at=business_now(),
    )  # fmt: skip
    charge.stripe_invoice_id = charge.stripe_invoice_id or invoice.id
    _close(charge, "charged", payment, actor, "")
    return charge.status


@atomic
def note_refusal(charge_id: int, attempt_id: int, outcome: Collection) -> str:
    """Record that a card was refused, or that the payer must confirm; when it is tried again. The state."""
    charge = _locked(charge_id)
    status = "requires_action" if outcome.status == "requires_action" else "declined"
    _finish(charge, attempt_id, status, f"{outcome.code}: {outcome.message}")
    if charge.status not in OPEN_CHARGES:
        return charge.status
    now = business_now()
    charge.failing_since = charge.failing_since or now
    due = next_try(charge.failing_since, charge.retries)
    while due is not None and due <= now:  # tries by hand, or an instance that slept, use the schedule up
        charge.retries += 1
        due = next_try(charge.failing_since, charge.retries)
    charge.next_attempt_at = None if outcome.is_final else due
    is_asked = outcome.status == "requires_action" and due is not None
    charge.status = "requires_action" if is_asked else "failed"
    charge.failure = (outcome.message or "The card was refused.")[:500]
    charge.hosted_invoice_url = outcome.invoice.hosted_invoice_url or charge.hosted_invoice_url
    charge.claimed_until = None
    db.session.flush()
    settle_standing(charge.account_id)
    _tell_refused(charge, attempt_id)
    return charge.status


@atomic
def note_unknown(charge_id: int, attempt_id: int, words: str, *, is_over: bool = False) -> str:
    """Record that nobody knows how an attempt went; it is gone on with in a while. The state.

    ``is_over``: it cannot be gone on with, the next one is another.
    """
    charge = _locked(charge_id)
    _finish(charge, attempt_id, "unknown", words, is_over=is_over)
    if charge.status in OPEN_CHARGES:
        charge.status, charge.claimed_until = "unknown", None
        since = business_now() - db.session.get_one(ChargeAttempt, attempt_id).started_at
        charge.next_attempt_at = business_now() + min(max(ASK_AGAIN, since / 2), ASK_AGAIN_AT_LATEST)
    return charge.status


def write_off(public_id: str, reason: str, actor: str, payments: Payments) -> None:
    """Demand a charge's money no longer: the loss is the seller's. Raises NotFound, Conflict, InvalidRequest."""
    charge = _open_charge(public_id, reason)
    if charge.stripe_invoice_id is not None and payments.invoice(charge.stripe_invoice_id).status in (
        "open",
    ):
        payments.void_invoice(charge.stripe_invoice_id)
    _end_by_hand(charge.id, "written_off", actor, reason)


def mark_paid_outside(public_id: str, reference: str, actor: str, payments: Payments) -> None:
    """Record that a charge was paid by other means. Raises NotFound, Conflict, InvalidRequest."""
    charge = _open_charge(public_id, reference)
    if charge.stripe_invoice_id is not None and payments.invoice(charge.stripe_invoice_id).status == "open":
        payments.mark_paid_outside(charge.stripe_invoice_id)
    _end_by_hand(charge.id, "paid_outside", actor, reference)


def _open_charge(public_id: str, words: str) -> Charge:
    if not words.strip():
        raise InvalidRequest.of("reason", "is required: it stays with the charge")
    charge = db.session.scalar(select(Charge).where(Charge.public_id == public_id))
    if charge is None:
        raise NotFound("There is no such charge.")
    if charge.status not in OPEN_CHARGES:
        raise Conflict(f"This charge is {charge.status.replace('_', ' ')} already.")
    if charge.status == "charging":
        raise Conflict("An attempt is under way; look again in a moment.")
    return charge


@atomic
def _end_by_hand(charge_id: int, status: str, actor: str, words: str) -> None:
    charge = _locked(charge_id)
    if charge.status not in OPEN_CHARGES:
        raise Conflict(f"This charge is {charge.status.replace('_', ' ')} already.")
    payment = None
    if status == "paid_outside":
        payment = Payment(
            public_id=secrets.token_hex(12), account_id=charge.account_id, kind="overage", status="paid",
            description="Extra credits", amount_cents=charge.amount_cents, currency=charge.currency,
            outside_reference=f"charge {charge.public_id}", created_at=charge.created_at,
            paid_at=business_now(),
        )  # fmt: skip
    _close(charge, status, payment, actor, words.strip()[:500])
    record(f"charge.{status}", actor, charge.account_id, charge=charge.public_id, reason=words.strip()[:200])


def _close(charge: Charge, status: str, payment: Payment | None, actor: str, words: str) -> None:
    """End a charge and say so on its purchases, inside the caller's unit and lock."""
    now, rows = business_now(), purchases_of_charge(charge)
    if payment is not None:
        db.session.add(payment)
        db.session.flush()
        charge.payment_id = payment.id
        if charge.kind == "client":
            link_grants(rows, payment.id)
    for row in rows:
        _mark(row, charge, is_paid=payment is not None)
    charge.status, charge.closed_at, charge.closed_by, charge.closed_because = (
        status,
        now,
        actor,
        words or None,
    )
    charge.claimed_until, charge.next_attempt_at, charge.failure = None, None, None
    db.session.flush()
    settle_standing(charge.account_id)
    if payment is not None:
        notify(
            charge.account_id, "overage_charged", f"charge:{charge.public_id}", what=payment.description,
            amount_cents=payment.amount_cents, currency=payment.currency, payment=payment.public_id,
        )  # fmt: skip


def _mark(row: OveragePurchase, charge: Charge, *, is_paid: bool) -> None:
    now = business_now()
    if charge.kind == "agency":
        if is_paid:
            row.billed_to_agency_at = row.billed_to_agency_at or now
        return
    if not is_paid:
        row.written_off_at = row.written_off_at or now
        return
    row.billed_to_client_at = row.billed_to_client_at or now
    if row.settlement_mode == "connected":  # its cost came with the application fee
        row.billed_to_agency_at = row.billed_to_agency_at or now


def _locked(charge_id: int) -> Charge:
    account_id = db.session.scalar(select(Charge.account_id).where(Charge.id == charge_id))
    assert account_id is not None
    lock_accounts(account_id)
    return db.session.get_one(Charge, charge_id, with_for_update=True, populate_existing=True)


def _finish(
    charge: Charge, attempt_id: int | None, status: str, words: str, *, is_over: bool = False
) -> None:
    """Write down how an attempt went; one that was begun and never answered went as the invoice did."""
    for attempt in charge.attempts:
        if attempt.id == attempt_id or (status == "paid" and attempt.status in ("begun", "unknown")):
            attempt.status = "declined" if is_over else status
            attempt.answer = words[:500]
            attempt.finished_at = business_now() if status != "unknown" or is_over else None


def _tell_refused(charge: Charge, attempt_id: int) -> None:
    account = db.session.get_one(Account, charge.account_id)
    kind = "card_needs_confirmation" if charge.status == "requires_action" else "payment_failed"
    number = db.session.get_one(ChargeAttempt, attempt_id).number
    notify(
        account.id, kind, f"charge:{charge.public_id}:{number}", what="Extra credits",
        amount_cents=charge.amount_cents, currency=charge.currency, reason=(charge.failure or "")[:200],
        url=charge.hosted_invoice_url,
    )  # fmt: skip

"""Having a charge paid: one attempt at a time, each written down before the provider is asked.

``pending → charging → charged | failed | requires_action | unknown``. A process that dies leaves a claim that
ends by itself and an attempt whose key is asked again; an invoice can be paid once, and a charge has one.
Source: docs/overage.md, charging.
"""

import json
import logging
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import or_, select

from errors import CofferError, Conflict, NotFound, PaymentProviderUnavailable
from extensions import db
from gateways.invoices import Collection, InvoiceRequest
from gateways.payments import CustomerRequest, Payments, UnknownToProvider
from gateways.subscriptions import InvoiceFacts
from models.accounts import Account
from models.billing import SavedCard
from models.overage import OPEN_CHARGES, Charge, ChargeAttempt
from services.billing.environment import instance_id, note_environment
from services.billing.orders import forget_customer, keep_customer
from services.clock import business_now, wall_now
from services.ledger.opening import lock_accounts
from services.overage.outcomes import note_refusal, note_unknown, settle_charge
from services.unit_of_work import atomic

logger = logging.getLogger("coffer.overage")
NO_CARD = "There is no card to charge: pay the invoice, or keep a card."
CLAIM = timedelta(minutes=5)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Work:
    """An attempt that is ours to make."""

    charge_id: int
    attempt_id: int
    key: str
    request: InvoiceRequest
    invoice_id: str | None
    payment_method_id: str | None


def charge_due(payments: Payments, actor: str = "job:charge-overage") -> dict[str, int]:
    """Try every charge that is due; how many ended in which state. One that troubles leaves the others alone."""
    counts: dict[str, int] = {}
    for charge_id in _due_ids():
        try:
            status = pursue(charge_id, actor, payments)
        except CofferError as trouble:
            logger.warning("Charge %s: %s", charge_id, trouble)
            status = "unknown"
        if status is not None:
            counts[status] = counts.get(status, 0) + 1
    return counts


def _due_ids() -> list[int]:
    wall = wall_now()
    return list(
        db.session.scalars(
            select(Charge.id)
            .where(
                Charge.status.in_(OPEN_CHARGES),
                Charge.next_attempt_at <= business_now(),
                or_(Charge.claimed_until.is_(None), Charge.claimed_until <= wall),
            )
            .order_by(Charge.next_attempt_at, Charge.id)
        )
    )


def pursue(charge_id: int, actor: str, payments: Payments) -> str | None:
    """Make the attempt that is due for a charge, or go on with one that was begun; its state then.

    None where somebody else is at it, or it is not open any more. Never charges twice: see the module.
    """
    customer_id = _customer(charge_id, payments)
    if customer_id is None:
        return None
    note_environment(payments.terms.environment)
    work = _claim(charge_id, customer_id, actor)
    if work is None:
        return None
    try:
        with payments.patience():
            outcome = _attempt(work, payments)
    except PaymentProviderUnavailable as trouble:
        return note_unknown(work.charge_id, work.attempt_id, trouble.detail)
    except UnknownToProvider as gone:
        forget_customer(customer_id)
        return note_unknown(work.charge_id, work.attempt_id, str(gone), is_over=True)
    if outcome.status == "paid":
        return settle_charge(work.charge_id, outcome.invoice, actor, attempt_id=work.attempt_id)
    return note_refusal(work.charge_id, work.attempt_id, outcome)


def pay_now(account_id: int, charge_public_id: str, actor: str, payments: Payments) -> str:
    """Try an open charge of the account with its card at once; its state then.

    Raises NotFound, Conflict where it is not open or another attempt is under way.
    """
    charge = db.session.scalar(
        select(Charge).where(Charge.public_id == charge_public_id, Charge.account_id == account_id)
    )
    if charge is None:
        raise NotFound("There is no such charge.")
    status = pursue(charge.id, actor, payments)
    if status is None:
        raise Conflict("This is paid already, or a payment is under way; look again in a moment.")
    return status


def try_with_new_card(account_id: int, actor: str, payments: Payments) -> None:
    """Try what an account owes with the card that it has kept now."""
    owed = db.session.scalars(
        select(Charge.id).where(Charge.account_id == account_id, Charge.status.in_(OPEN_CHARGES))
    ).all()
    for charge_id in owed:
        pursue(charge_id, actor, payments)


def follow_charge(invoice: InvoiceFacts, actor: str) -> bool:
    """Make a charge what its invoice is now. Whether it is one of ours. Idempotent."""
    charge = db.session.scalar(select(Charge).where(Charge.public_id == (invoice.charge_id or "")))
    if charge is None or invoice.instance != instance_id():
        return False
    if invoice.status == "paid":
        settle_charge(charge.id, invoice, actor)
    return True


def _customer(charge_id: int, payments: Payments) -> str | None:
    """The customer to be invoiced, made where there is none."""
    charge = db.session.get_one(Charge, charge_id, populate_existing=True)
    if charge.status not in OPEN_CHARGES:
        return None
    account = db.session.get_one(Account, charge.account_id, populate_existing=True)
    if charge.stripe_invoice_id is not None and charge.stripe_customer_id is not None:
        return charge.stripe_customer_id
    if account.stripe_customer_id is not None:
        return account.stripe_customer_id
    # Another key every ten minutes: one under which Stripe keeps an error of its own would be of no use for a day.
    moment = f"{wall_now():%Y%m%d%H%M}"[:-1]
    request = CustomerRequest(
        key=f"charge-{charge.public_id}-{moment}", instance=instance_id(),
        account_id=account.public_id, name=account.name, email=account.email,
    )  # fmt: skip
    return keep_customer(account.id, payments.create_customer(request))


@atomic
def _claim(charge_id: int, customer_id: str, actor: str) -> _Work | None:
    """Take the charge for this attempt and write its key and parameters down; None where it is taken or over."""
    account_id = db.session.scalar(select(Charge.account_id).where(Charge.id == charge_id))
    assert account_id is not None
    lock_accounts(account_id)
    charge = db.session.get_one(Charge, charge_id, with_for_update=True, populate_existing=True)
    wall = wall_now()
    if charge.status not in OPEN_CHARGES or (
        charge.claimed_until is not None and charge.claimed_until > wall
    ):
        return None
    card = db.session.get(SavedCard, account_id)
    attempt = charge.attempts[-1] if charge.attempts else None
    if attempt is None or attempt.status not in ("begun", "unknown"):
        attempt = _new_attempt(charge, customer_id, card, actor)
    told = json.loads(attempt.parameters)
    charge.status, charge.claimed_until = "charging", wall + CLAIM
    charge.stripe_customer_id = charge.stripe_customer_id or customer_id
    db.session.flush()
    return _Work(
        charge.id, attempt.id, attempt.idempotency_key, _request(charge, told), charge.stripe_invoice_id,
        told["payment_method"],
    )  # fmt: skip


def _new_attempt(charge: Charge, customer_id: str, card: SavedCard | None, actor: str) -> ChargeAttempt:
    account = db.session.get_one(Account, charge.account_id)
    parameters = {
        "customer": customer_id,
        "account": account.public_id,
        "payment_method": card.stripe_payment_method_id if card is not None else None,
        "amount_cents": charge.amount_cents,
        "currency": charge.currency,
        "lines": json.loads(charge.lines),
        "destination": charge.destination,
        "application_fee_cents": charge.application_fee_cents,
    }
    attempt = ChargeAttempt(
        charge_id=charge.id, number=len(charge.attempts) + 1, idempotency_key=secrets.token_hex(16),
        parameters=json.dumps(parameters), status="begun", actor=actor, started_at=business_now(),
        asked_at=wall_now(),
    )  # fmt: skip
    charge.attempts.append(attempt)
    db.session.flush()
    return attempt


def _request(charge: Charge, told: dict[str, object]) -> InvoiceRequest:
    return InvoiceRequest(
        charge_id=charge.public_id, instance=instance_id(), account_id=str(told["account"]),
        customer_id=str(told["customer"]), currency=charge.currency,
        description="Extra credits bought in the cycle that is over",
        lines=tuple((words, cents) for words, cents in json.loads(charge.lines)),
        made_since=min(charge.created_at, charge.cycle_end) - DAY, destination=charge.destination,
        application_fee_cents=charge.application_fee_cents,
    )  # fmt: skip


def _attempt(work: _Work, payments: Payments) -> Collection:
    """Ask the provider: have the invoice, complete it, collect it. Each step is known again when repeated."""
    invoice = payments.invoice(work.invoice_id) if work.invoice_id else payments.have_invoice(work.request)
    if work.invoice_id is None:
        keep_invoice(work.charge_id, invoice)
    if invoice.status == "draft":
        invoice = payments.complete_invoice(invoice.id, work.request)
        keep_invoice(work.charge_id, invoice)
    if invoice.status == "paid":
        return Collection("paid", payments.invoice(invoice.id))  # with its payment
    if invoice.status != "open":
        return Collection(
            "declined", invoice, invoice.status, f"The invoice is {invoice.status}.", is_final=True
        )
    if work.payment_method_id is None:
        return Collection("requires_action", invoice, "no_card", NO_CARD)
    return payments.collect_invoice(invoice.id, work.key, work.payment_method_id)


@atomic
def keep_invoice(charge_id: int, invoice: InvoiceFacts) -> None:
    """Note the charge's invoice and its page, as soon as it is known. Idempotent."""
    charge = db.session.get_one(Charge, charge_id, with_for_update=True, populate_existing=True)
    charge.stripe_invoice_id = charge.stripe_invoice_id or invoice.id
    charge.hosted_invoice_url = invoice.hosted_invoice_url or charge.hosted_invoice_url

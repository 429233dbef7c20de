"""Refunds that an operator, or the team's own program, gives: written down, asked for, recorded.

Each step is committed before the next begins. One form or key gives once: what was asked for and not answered
is asked for again under the same idempotency key. Source: docs/ledger.md, refund of a payment.
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import func, select

from errors import Conflict, IdempotencyKeyReused, InvalidRequest, NotFound
from extensions import db
from gateways.payments import Payments, UnknownToProvider
from gateways.payments import RefundRequest as Asked
from models.billing import Payment, RefundRequest
from models.overage import Charge
from services import audit
from services.billing.environment import instance_id
from services.billing.refunds import apply_refunds, settle_payment
from services.clock import business_now
from services.ledger.opening import lock_accounts
from services.unit_of_work import atomic

REFUNDABLE = ("paid", "partially_refunded")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRefund:
    """Money to give back. Units: ``amount_cents`` in minor units; None: all that is left.

    ``payment_id`` is the payment's public id; ``request_key`` makes the refund one.
    """

    account_id: int
    payment_id: str
    amount_cents: int | None
    request_key: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refunded:
    """How a payment stands after a refund. Units: minor units."""

    refund_id: str
    refunded_cents: int
    payment_refunded_cents: int
    payment_status: str
    currency: str


@dataclass(frozen=True, slots=True)
class _Begun:
    row_id: int
    public_id: str
    amount_cents: int
    intent_id: str | None
    status: str
    fee_cents: int | None


def refund_payment(new: NewRefund, payments: Payments) -> Refunded:
    """Give money of a payment back, at the provider where it came by it; the credits it bought go with it.

    Idempotent by ``request_key``. Raises NotFound, Conflict (nothing left, disputed), InvalidRequest naming
    ``amount``, IdempotencyKeyReused, PaymentProviderUnavailable: then the same request goes on later.
    """
    begun = _begin(new)
    if begun.status == "asked":
        _carry_out(begun, new.actor, payments)
    return _outcome(begun.row_id)


def finish_refunds(payments: Payments, limit: int = 100) -> int:
    """Ask again for refunds that were never answered; how many are done now."""
    done = 0
    for begun, actor in _unanswered(limit):
        try:
            _carry_out(begun, actor, payments)
        except InvalidRequest:
            continue  # it is marked as failed, with the provider's words
        done += 1
    return done


def _carry_out(begun: _Begun, actor: str, payments: Payments) -> None:
    if begun.intent_id is None:
        _record_by_hand(begun.row_id, actor)
        return
    asked = Asked(
        id=begun.public_id, instance=instance_id(), payment_intent_id=begun.intent_id,
        amount_cents=begun.amount_cents, from_connected=begun.fee_cents is not None, with_fee=bool(begun.fee_cents),
    )  # fmt: skip
    try:
        with payments.patience():
            given = payments.refund(asked)
            _close(begun.row_id, given.id, given.failure)
            if given.charge_id is not None:
                apply_refunds(given.charge_id, actor, payments)
    except InvalidRequest as refusal:
        _close(begun.row_id, None, refusal.errors[0].message)
        raise
    except UnknownToProvider:
        _close(begun.row_id, None, "The payment provider does not know this payment.")
        raise Conflict("The payment provider does not know this payment.") from None


@atomic
def _begin(new: NewRefund) -> _Begun:
    lock_accounts(new.account_id)
    payment = db.session.scalar(
        select(Payment)
        .where(Payment.public_id == new.payment_id, Payment.account_id == new.account_id)
        .execution_options(populate_existing=True)
    )
    if payment is None:
        raise NotFound("There is no such payment.")
    known = db.session.scalar(
        select(RefundRequest).where(
            RefundRequest.payment_id == payment.id, RefundRequest.request_key == new.request_key
        )
    )
    if known is not None:
        if new.amount_cents not in (None, known.amount_cents):
            raise IdempotencyKeyReused("This key has asked for another refund.")
        return _begun(known, payment)
    amount_cents = _checked(payment, new.amount_cents)
    row = RefundRequest(
        public_id=secrets.token_hex(12), payment_id=payment.id, request_key=new.request_key,
        amount_cents=amount_cents, reason=new.reason[:200], actor=new.actor, created_at=business_now(),
        status="asked",
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    audit.record(
        "payment.refund_asked", new.actor, new.account_id, payment=payment.public_id, cents=amount_cents
    )
    return _begun(row, payment)


def _checked(payment: Payment, amount_cents: int | None) -> int:
    """The amount to give back. Raises Conflict, InvalidRequest."""
    if payment.status == "disputed":
        raise Conflict("The payment is disputed: the bank decides about its money.")
    if payment.status not in REFUNDABLE:
        raise Conflict(f"The payment is {payment.status}: there is nothing to give back.")
    on_the_way = db.session.scalar(
        select(func.coalesce(func.sum(RefundRequest.amount_cents), 0)).where(
            RefundRequest.payment_id == payment.id, RefundRequest.status == "asked"
        )
    )
    left = payment.amount_cents - payment.refunded_cents - int(on_the_way or 0)
    wanted = left if amount_cents is None else amount_cents
    if left <= 0:
        raise Conflict("All of the payment has been given back, or is about to be.")
    if not 0 < wanted <= left:
        raise InvalidRequest.of("amount", f"must be between 1 and {left} in minor units: so much is left")
    return wanted


def _begun(row: RefundRequest, payment: Payment) -> _Begun:
    fee = select(Charge.application_fee_cents).where(
        Charge.payment_id == payment.id, Charge.destination.is_not(None)
    )
    return _Begun(
        row.id, row.public_id, row.amount_cents, payment.stripe_payment_intent_id, row.status,
        db.session.scalar(fee),
    )  # fmt: skip


@atomic
def _unanswered(limit: int) -> list[tuple[_Begun, str]]:
    rows = db.session.execute(
        select(RefundRequest, Payment)
        .join(Payment, Payment.id == RefundRequest.payment_id)
        .where(RefundRequest.status == "asked")
        .order_by(RefundRequest.id)
        .limit(limit)
    )
    return [(_begun(row, payment), row.actor) for row, payment in rows]


@atomic
def _close(row_id: int, stripe_refund_id: str | None, failure: str | None) -> None:
    row = db.session.get_one(RefundRequest, row_id, with_for_update=True, populate_existing=True)
    row.stripe_refund_id = stripe_refund_id
    row.status, row.error = ("failed", failure[:500]) if failure else ("done", None)


@atomic
def _record_by_hand(row_id: int, actor: str) -> None:
    """A payment that came in outside the provider goes back outside it; here it is only recorded."""
    row = db.session.get_one(RefundRequest, row_id, with_for_update=True, populate_existing=True)
    payment = db.session.get_one(Payment, row.payment_id)
    lock_accounts(payment.account_id)
    db.session.refresh(payment)
    if row.status == "asked":
        row.status = "done"
        payment.refunded_cents += row.amount_cents
        settle_payment(payment, actor)


@atomic
def _outcome(row_id: int) -> Refunded:
    row = db.session.get_one(RefundRequest, row_id, populate_existing=True)
    payment = db.session.get_one(Payment, row.payment_id, populate_existing=True)
    if row.status == "failed":
        raise Conflict(f"The refund failed: {row.error}")
    return Refunded(row.public_id, row.amount_cents, payment.refunded_cents, payment.status, payment.currency)

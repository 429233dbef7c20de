"""Orders past their time: the provider is asked first, since what was paid is never closed unpaid."""

import logging
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from errors import CofferError, PaymentProviderUnavailable
from extensions import db
from gateways.payments import CheckoutSession, Payments, UnknownToProvider
from models.accounts import Account
from models.billing import Order
from services.billing.fulfilment import fulfil_checkout
from services.billing.orders import close_order
from services.clock import business_now
from services.unit_of_work import atomic

logger = logging.getLogger("coffer.billing")
ACTOR = "job:abandon-orders"
MOST_A_RUN = 200


@dataclass(slots=True)
class Abandonment:
    """What a sweep over abandoned orders did."""

    closed: int = 0
    fulfilled: int = 0
    waiting: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class _Due:
    id: int
    public_id: str
    session_id: str | None
    customer_id: str | None


def expire_abandoned_orders(payments: Payments, limit: int = MOST_A_RUN) -> Abandonment:
    """Close orders whose time is over; those that turn out to be paid are fulfilled. Idempotent.

    Raises PaymentProviderUnavailable where the provider does not answer: the rest waits for the next run.
    """
    done = Abandonment()
    for due in _due_orders(limit):
        try:
            _settle(due, payments, done)
        except PaymentProviderUnavailable:
            raise
        except CofferError as refusal:
            done.failed += 1
            logger.error("Order %s could not be closed: %s", due.public_id, refusal)
    return done


def next_order_end(after: datetime) -> datetime | None:
    """When the next order's time is over; None where nothing is open."""
    return db.session.scalar(
        select(func.min(Order.expires_at)).where(
            Order.status.in_(("pending", "open")), Order.expires_at > after
        )
    )


@atomic
def _due_orders(limit: int) -> list[_Due]:
    rows = db.session.execute(
        select(Order.id, Order.public_id, Order.stripe_session_id, Account.stripe_customer_id)
        .join(Account, Account.id == Order.account_id)
        .where(Order.status.in_(("pending", "open")), Order.expires_at <= business_now())
        .order_by(Order.expires_at)
        .limit(limit)
    ).all()
    return [_Due(*row) for row in rows]


def _settle(due: _Due, payments: Payments, done: Abandonment) -> None:
    session = _session(due, payments)
    if session is not None and session.status == "open":
        session = payments.expire_checkout(session.id)
    if session is None:
        done.closed += close_order(due.id)
        return
    outcome = fulfil_checkout(session.id, ACTOR, payments)
    if outcome == "paid":
        done.fulfilled += 1
    elif outcome in ("expired", "failed", "foreign"):
        close_order(due.id)
        done.closed += 1
    else:
        done.waiting += 1


def _session(due: _Due, payments: Payments) -> CheckoutSession | None:
    """The order's session; one that was made but never noted is looked for among its customer's."""
    try:
        if due.session_id is not None:
            return payments.checkout_session(due.session_id)
        if due.customer_id is not None:
            return payments.session_of_order(due.public_id, due.customer_id)
    except UnknownToProvider:
        return None
    return None

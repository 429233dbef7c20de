"""The one way in which a paid Checkout becomes credits, whoever notices first that it was paid.

The session is fetched anew and held against the order; payment, lot and journal line are one unit, unique on
the order, the session and the payment intent. Source: docs/ledger.md, idempotency.
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import bindparam, insert, select, update

from errors import BalanceLimit, Conflict, NotFound
from extensions import db
from gateways.payments import CheckoutSession, IntentFacts, Payments, UnknownToProvider
from models.accounts import Account
from models.billing import Order, Payment
from models.catalog import CreditType
from services.billing.announcements import publish_payment
from services.billing.cards import use_new_card
from services.billing.environment import instance_id
from services.billing.stripe_subscriptions import follow_subscription
from services.clock import business_now, to_microseconds
from services.ledger.grants import Incoming, grant_credits
from services.ledger.opening import lock_accounts
from services.statements import Statement
from services.unit_of_work import atomic

logger = logging.getLogger("coffer.billing")
# "foreign": a session of another instance, or of no order at all.
Outcome = Literal["paid", "waiting", "failed", "expired", "flagged", "foreign"]
SETTLED = ("paid", "refunded", "partially_refunded", "disputed")
_orders, _payments = Order.__table__.c, Payment.__table__.c
_accounts, _types = Account.__table__.c, CreditType.__table__.c
ORDER_TO_CREDIT = Statement(
    select(
        _orders.id, _orders.account_id, _accounts.public_id, _types.code, _orders.credits,
        _orders.price_cents, _orders.currency, _orders.description, _orders.stripe_session_id, _orders.kind,
    )
    .join_from(Order.__table__, Account.__table__, _accounts.id == _orders.account_id)
    .join(CreditType.__table__, _types.id == _orders.credit_type_id)
    .where(_orders.public_id == bindparam("public_id"))
)  # fmt: skip
PAYMENT_OF_ORDER = Statement(
    select(_payments.id, _payments.status).where(_payments.order_id == bindparam("order_id"))
)
INSERT_PAYMENT = Statement(
    insert(Payment.__table__)
    .values(
        {
            name: bindparam(name)
            for name in (
                "public_id", "account_id", "order_id", "kind", "stripe_session_id",
                "stripe_payment_intent_id", "description", "amount_cents", "tax_cents", "refunded_cents",
                "currency", "status", "invoice_url", "created_at", "paid_at",
            )
        }
    )
    .returning(_payments.id)
)  # fmt: skip
SETTLE_PAYMENT = Statement(
    update(Payment.__table__)
    .where(_payments.id == bindparam("payment_id"))
    .values(
        status="paid", failure=None, paid_at=bindparam("now_at"), stripe_session_id=bindparam("session_id"),
        stripe_payment_intent_id=bindparam("intent_id"), amount_cents=bindparam("total_cents"),
        invoice_url=bindparam("invoice"),
    )
)  # fmt: skip
CLOSE_ORDER = Statement(
    update(Order.__table__)
    .where(_orders.id == bindparam("order_id"))
    .values(
        stripe_session_id=bindparam("session_id"), status="paid", closed_at=bindparam("now_at"), flag=None
    )
)


def fulfil_checkout(
    session_id: str, actor: str, payments: Payments, within: Callable[[], None] = lambda: None
) -> Outcome:
    """Credit a Checkout Session where it is paid; otherwise note what has become of it.

    ``within`` is called in the unit that credits, so that what it writes stands and falls with the credits.

    Idempotent: however often and by whomever it is called, one session is credited once. Raises NotFound,
    Conflict where the order is not in this database, PaymentProviderUnavailable, AccountFrozen (parked).
    """
    try:
        with payments.patience():
            session = payments.checkout_session(session_id)
            intent = _intent_of_unpaid(session, payments)
    except UnknownToProvider:
        raise NotFound("The payment provider knows no such Checkout.") from None
    if session.instance != instance_id():
        return "foreign"
    begun = COMPLETED.get(_kind_of_order(session) or "")
    if session.status == "complete" and begun is not None and begun.mode == session.mode:
        return begun.follow(session, actor, payments)
    if session.is_paid:
        return _fulfil(session, actor, payments, within)
    return _note_unpaid(session, intent)


def _subscribed(session: CheckoutSession, actor: str, payments: Payments) -> Outcome:
    """A Checkout that began a subscription: what it brings hangs on the subscription and its invoice."""
    if session.subscription_id is None:
        return "waiting"
    _note_session(session)
    follow_subscription(session.subscription_id, actor, payments)
    status, flag = _state_of_order(session)
    return "flagged" if flag else "paid" if status == "paid" else "waiting"


def _card_kept(session: CheckoutSession, actor: str, payments: Payments) -> Outcome:
    """A Checkout that kept a card: the account is charged with it from now on."""
    _note_session(session)
    return "paid" if use_new_card(session, actor, payments) else "waiting"


@dataclass(frozen=True, slots=True)
class Begun:
    """What a completed Checkout of a mode leads to, where it sells no credits itself."""

    mode: str
    follow: Callable[[CheckoutSession, str, Payments], Outcome]


# By the order's kind.
COMPLETED = {"subscription": Begun("subscription", _subscribed), "card": Begun("setup", _card_kept)}


def _kind_of_order(session: CheckoutSession) -> str | None:
    return db.session.scalar(select(Order.kind).where(Order.public_id == session.order_id))


@atomic
def _note_session(session: CheckoutSession) -> None:
    order = _locked_order(session)
    order.stripe_session_id = order.stripe_session_id or session.id


@atomic
def _state_of_order(session: CheckoutSession) -> tuple[str, str | None]:
    order = _locked_order(session)
    return order.status, order.flag


def _intent_of_unpaid(session: CheckoutSession, payments: Payments) -> IntentFacts | None:
    """The payment under way or refused; none exists before the customer pays."""
    if session.is_paid or session.payment_intent_id is None:
        return None
    return payments.payment_intent(session.payment_intent_id)


def _fulfil(
    session: CheckoutSession, actor: str, payments: Payments, within: Callable[[], None] = lambda: None
) -> Outcome:
    try:
        return _credit(session, actor, within, is_live=payments.terms.is_live)
    except BalanceLimit as refusal:
        return _flag(session, refusal.detail)


@atomic
def _credit(session: CheckoutSession, actor: str, within: Callable[[], None], *, is_live: bool) -> Outcome:
    order = _open_order(session)
    payment = PAYMENT_OF_ORDER.first(order_id=order.id)
    if payment is not None and payment[1] in SETTLED:
        return _credited_before(session)
    problems = _mismatches(order, session, is_live)
    if problems:
        return _flag(session, " ".join(problems))
    now_at = to_microseconds(business_now())
    payment_id = _paid(order, session, now_at) if payment is None else _paid_now(payment[0], session, now_at)
    CLOSE_ORDER.run(order_id=order.id, session_id=session.id, now_at=now_at).close()
    grant_credits(
        Incoming(
            account_id=order.account_id,
            credit_type=order.credit_type,
            amount=order.credits,
            source="purchase",
            actor=actor,
            description=order.description,
            payment_method="stripe",
            payment_id=payment_id,
        )
    )
    publish_payment(payment_id)
    within()
    return "paid"


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """What crediting needs of an order, read under its account's lock."""

    id: int
    account_id: int
    account: str
    credit_type: str
    credits: int
    price_cents: int
    currency: str
    description: str
    stripe_session_id: str | None
    kind: str


def _open_order(session: CheckoutSession) -> OpenOrder:
    """The order of a session, its account locked. Raises Conflict where this database has none."""
    found = ORDER_TO_CREDIT.first(public_id=session.order_id)
    if found is None:
        raise Conflict(f"Checkout {session.id} is of order {session.order_id}, which is not here.")
    lock_accounts(found[1])
    if db.engine.dialect.name != "sqlite":
        found = ORDER_TO_CREDIT.first(public_id=session.order_id)
    assert found is not None
    return OpenOrder(*found)


def _paid(order: OpenOrder, session: CheckoutSession, now_at: int) -> int:
    """A new payment of an order; its id."""
    row = INSERT_PAYMENT.first(
        public_id=secrets.token_hex(12), account_id=order.account_id, order_id=order.id, kind=order.kind,
        stripe_session_id=session.id, stripe_payment_intent_id=session.payment_intent_id,
        description=order.description, amount_cents=session.total_cents, tax_cents=0, refunded_cents=0,
        currency=order.currency, status="paid", invoice_url=session.invoice_url, created_at=now_at,
        paid_at=now_at,
    )  # fmt: skip
    assert row is not None
    return row[0]


def _paid_now(payment_id: int, session: CheckoutSession, now_at: int) -> int:
    """A payment that was under way, or refused before, went through."""
    SETTLE_PAYMENT.run(
        payment_id=payment_id, session_id=session.id, intent_id=session.payment_intent_id,
        total_cents=session.total_cents, invoice=session.invoice_url, now_at=now_at,
    ).close()  # fmt: skip
    return payment_id


def _is_here(session: CheckoutSession) -> bool:
    return db.session.scalar(select(Order.id).where(Order.public_id == session.order_id)) is not None


def _locked_order(session: CheckoutSession) -> Order:
    """The order of a session, its account locked. Raises Conflict where this database has none."""
    account_id = db.session.scalar(select(Order.account_id).where(Order.public_id == session.order_id))
    if account_id is None:
        raise Conflict(f"Checkout {session.id} is of order {session.order_id}, which is not here.")
    lock_accounts(account_id)
    return db.session.scalars(
        select(Order).where(Order.public_id == session.order_id).execution_options(populate_existing=True)
    ).one()


def _credited_before(session: CheckoutSession) -> Outcome:
    """Nothing more to do, unless money came in twice for one order."""
    order = _locked_order(session)
    payment = db.session.scalars(select(Payment).where(Payment.order_id == order.id)).one()
    if payment.stripe_session_id != session.id:
        order.flag = f"Checkout {session.id} was paid too, for an order that was paid already."
        logger.error("Order %s: %s", order.public_id, order.flag)
    elif payment.invoice_url is None:
        payment.invoice_url = session.invoice_url
    return "paid"


def _mismatches(order: OpenOrder, session: CheckoutSession, is_live: bool) -> list[str]:
    """Why a session may not be credited, in words for the operator. Tax is not the order's."""
    expected = (
        ("mode", "payment", session.mode),
        ("amount before tax", order.price_cents, session.subtotal_cents),
        ("discount", 0, session.discount_cents),
        ("currency", order.currency, session.currency),
        ("account", order.account, session.account_id),
        ("live mode", is_live, session.is_live),
        ("Checkout", order.stripe_session_id or session.id, session.id),
    )
    return [
        f"The order's {name} is {ours}, the payment's {theirs}."
        for name, ours, theirs in expected
        if ours != theirs
    ]


@atomic
def _flag(session: CheckoutSession, reason: str) -> Outcome:
    """Credit nothing and leave it to an operator."""
    order = _locked_order(session)
    order.status, order.flag = "flagged", reason
    logger.error("Order %s was paid but is not credited: %s", order.public_id, reason)
    return "flagged"


@atomic
def _note_unpaid(session: CheckoutSession, intent: IntentFacts | None) -> Outcome:
    """What has become of an order that is not paid: a payment under way or refused, or the order over."""
    if not _is_here(session):
        return "foreign"  # begun after the backup that this database was restored from, and never paid
    order = _locked_order(session)
    payment = db.session.scalar(select(Payment).where(Payment.order_id == order.id))
    if payment is not None and payment.status in SETTLED:
        return "paid"  # someone else saw it paid while we asked
    is_under_way = intent is not None and intent.status == "processing"
    failure = intent.failure if intent else None
    if is_under_way or failure:
        payment = payment or _new_payment(order)
        payment.stripe_session_id = session.id
        payment.stripe_payment_intent_id = session.payment_intent_id
        payment.status = "pending" if is_under_way else "failed"
        payment.failure = failure[:500] if failure else None
        db.session.flush()
        publish_payment(payment.id)
    is_over = session.status == "expired" or (session.status == "complete" and failure is not None)
    if is_over and order.status in ("pending", "open"):
        order.status, order.closed_at = "expired", business_now()
    if failure:
        return "failed"
    return "expired" if is_over else "waiting"


def _new_payment(order: Order) -> Payment:
    payment = Payment(
        public_id=secrets.token_hex(12),
        account_id=order.account_id,
        order_id=order.id,
        kind=order.kind,
        description=order.description,
        amount_cents=order.price_cents,
        currency=order.currency,
        status="pending",
        created_at=business_now(),
    )
    db.session.add(payment)
    return payment

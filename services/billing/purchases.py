"""Buying and subscribing: an order, a Checkout Session, and nothing credited before it is paid.

Each step is committed before the next begins, so a process that dies between two goes on from there.
Source: docs/ledger.md, two Checkouts paid are two purchases.
"""

from dataclasses import dataclass

from sqlalchemy import select

from errors import InvalidRequest, NotFound
from extensions import db
from gateways.payments import CheckoutRequest, CheckoutSession, CustomerRequest, Payments, UnknownToProvider
from models.accounts import Account
from models.billing import Order
from models.catalog import Plan
from services.accounts.account_fields import check_email
from services.billing.environment import instance_id, note_environment
from services.billing.fulfilment import fulfil_checkout
from services.billing.orders import (
    NewOrder,
    OrderView,
    begin_order,
    close_order,
    forget_customer,
    keep_customer,
    keep_session,
    view_of,
)
from services.billing.return_addresses import return_addresses
from services.billing.stripe_sync import price_for_subscribing
from services.catalog.plans import plan_named
from services.catalog.wallets import check_funds, wallet_of

__all__ = [
    "StartedPurchase",
    "fulfil_checkout",
    "order_of_session",
    "start_card_setup",
    "start_funding",
    "start_purchase",
    "start_subscription",
]


@dataclass(frozen=True, slots=True)
class StartedPurchase:
    """Where to send the browser. Units: ``credits`` in the smallest unit of the credit type."""

    order_id: str
    session_id: str
    url: str
    credits: int
    scale: int


def start_purchase(
    account_id: int,
    package: str,
    *,
    request_key: str,
    actor: str,
    payments: Payments,
    email: str | None = None,
    success_url: str | None = None,
    cancel_url: str | None = None,
) -> StartedPurchase:
    """Begin to buy a package, named by its code or price id, or go on where the same request left off.

    Idempotent: one ``request_key`` makes one order and one Checkout Session. Raises NotFound, AccountFrozen,
    SubscriptionRequired, InvalidRequest, Conflict, IdempotencyKeyReused, PaymentProviderUnavailable.
    """
    success, cancel = _prepared(account_id, success_url, cancel_url, payments)
    new = NewOrder(
        account_id=account_id, package=package, request_key=request_key, actor=actor,
        email=_checked_email(email), success_url=success, cancel_url=cancel,
    )  # fmt: skip
    return _started(new, payments)


def start_funding(
    account_id: int,
    funds_cents: int,
    *,
    request_key: str,
    actor: str,
    payments: Payments,
    email: str | None = None,
    success_url: str | None = None,
    cancel_url: str | None = None,
) -> StartedPurchase:
    """Begin to add money to the account's wallet, or go on where the same request left off.

    Units: ``funds_cents`` in minor units. Idempotent like ``start_purchase``. Raises InvalidRequest where the
    account has no wallet or the amount is out of bounds, and what ``start_purchase`` raises.
    """
    check_funds(funds_cents, wallet_of(account_id).currency)
    success, cancel = _prepared(account_id, success_url, cancel_url, payments)
    new = NewOrder(
        account_id=account_id, funds_cents=funds_cents, request_key=request_key, actor=actor,
        email=_checked_email(email), success_url=success, cancel_url=cancel,
    )  # fmt: skip
    return _started(new, payments)


def start_subscription(
    account_id: int,
    plan: str,
    interval: str,
    *,
    request_key: str,
    actor: str,
    payments: Payments,
    email: str | None = None,
    success_url: str | None = None,
    cancel_url: str | None = None,
) -> StartedPurchase:
    """Begin to subscribe to a plan, or go on where the same request left off.

    A Checkout for another plan that is still open is ended first, so that no two can be paid. Idempotent like
    ``start_purchase``. Raises Conflict where the account pays for a subscription already, InvalidRequest,
    and what ``start_purchase`` raises.
    """
    if interval not in ("month", "year"):
        raise InvalidRequest.of("interval", "must be month or year")
    success, cancel = _prepared(account_id, success_url, cancel_url, payments)
    new = NewOrder(
        account_id=account_id, plan=plan, interval=interval, request_key=request_key, actor=actor,
        email=_checked_email(email), success_url=success, cancel_url=cancel,
    )  # fmt: skip
    price_for_subscribing(plan_named(account_id, plan), interval, payments)
    _end_other_checkouts(account_id, request_key, payments)
    return _started(new, payments)


def start_card_setup(
    account_id: int,
    *,
    request_key: str,
    actor: str,
    payments: Payments,
    success_url: str | None = None,
    cancel_url: str | None = None,
) -> StartedPurchase:
    """Begin to keep a card for later payments; nothing is charged. Idempotent, raises like ``start_purchase``."""
    success, cancel = _prepared(account_id, success_url, cancel_url, payments)
    new = NewOrder(
        account_id=account_id, request_key=request_key, actor=actor, email=None, success_url=success,
        cancel_url=cancel,
    )  # fmt: skip
    return _started(new, payments)


def _end_other_checkouts(account_id: int, request_key: str, payments: Payments) -> None:
    """End the account's open Checkouts of subscriptions but for that of this request."""
    others = db.session.execute(
        select(Order.id, Order.stripe_session_id).where(
            Order.account_id == account_id, Order.kind == "subscription", Order.status == "open",
            Order.request_key != request_key,
        )
    ).all()  # fmt: skip
    for order_id, session_id in others:
        session = payments.checkout_session(session_id)
        if session.status == "open":
            session = payments.expire_checkout(session_id)
        if session.status == "expired":
            close_order(order_id)
        else:
            fulfil_checkout(session_id, "checkout", payments)


def _started(new: NewOrder, payments: Payments) -> StartedPurchase:
    instance = instance_id()
    order = begin_order(new)
    if order.session_id is None or order.url is None:
        with payments.patience():
            order = keep_session(order.id, _checkout(order, instance, payments))
    assert order.session_id is not None
    return StartedPurchase(
        order.public_id, order.session_id, order.url or order.success_url, order.credits, order.scale
    )


def _checked_email(email: str | None) -> str | None:
    try:
        return None if email is None else check_email(email)
    except ValueError as problem:
        raise InvalidRequest.of("email", str(problem)) from None


def _prepared(
    account_id: int, success_url: str | None, cancel_url: str | None, payments: Payments
) -> tuple[str, str]:
    """Where the customer comes back to; the payment environment is noted."""
    addresses = return_addresses(_slug(account_id), success_url, cancel_url, payments.terms)
    note_environment(payments.terms.environment)
    return addresses


def _slug(account_id: int) -> str:
    slug = db.session.scalar(select(Account.slug).where(Account.id == account_id))
    if slug is None:
        raise NotFound("There is no such account.")
    return slug


def _checkout(order: OrderView, instance: str, payments: Payments) -> CheckoutSession:
    """The order's session. A customer that is gone at the provider is made anew, once."""
    customer_id = order.customer_id or _new_customer(order, instance, order.public_id, payments)
    try:
        return payments.create_checkout(_request(order, instance, customer_id))
    except UnknownToProvider:
        forget_customer(customer_id)
        customer_id = _new_customer(order, instance, f"{order.public_id}-after-{customer_id}", payments)
        return payments.create_checkout(_request(order, instance, customer_id))


def _new_customer(order: OrderView, instance: str, key: str, payments: Payments) -> str:
    customer_id = payments.create_customer(
        CustomerRequest(
            key=key, instance=instance, account_id=order.account_public_id,
            name=order.account_name, email=order.email,
        )
    )  # fmt: skip
    return keep_customer(order.account_id, customer_id)


def _request(order: OrderView, instance: str, customer_id: str) -> CheckoutRequest:
    return CheckoutRequest(
        order_id=order.public_id,
        instance=instance,
        account_id=order.account_public_id,
        customer_id=customer_id,
        description=order.description,
        price_cents=order.price_cents,
        currency=order.currency,
        success_url=order.success_url,
        cancel_url=order.cancel_url,
        expires_at=order.expires_at,
        **_of_kind(order),
    )


def _of_kind(order: OrderView) -> dict[str, str | None]:
    """What a Checkout has that sells no package and no funds."""
    if order.kind == "card":
        return {"mode": "setup"}
    if order.kind != "subscription":
        return {}
    plan = db.session.get_one(Plan, order.plan_id)
    is_monthly = order.interval == "month"
    full = plan.monthly_price_cents if is_monthly else plan.annual_price_cents
    return {
        "mode": "subscription",
        "price_id": plan.stripe_monthly_price_id if is_monthly else plan.stripe_annual_price_id,
        "coupon_id": plan.stripe_coupon_id if order.price_cents != full else None,
    }


def order_of_session(account_id: int, session_id: str) -> OrderView:
    """An account's own order by its Checkout Session. Raises NotFound."""
    order = db.session.scalar(
        select(Order).where(Order.account_id == account_id, Order.stripe_session_id == session_id)
    )
    if order is None:
        raise NotFound("There is no such purchase.")
    return view_of(order)

"""Orders: what was asked for, as it was sold at that moment; each step of one is a unit of its own."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select

from errors import (
    AccountFrozen,
    Conflict,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
)
from extensions import db
from gateways.payments import CheckoutSession
from models.accounts import Account
from models.billing import Order, SavedCard, Subscription
from models.catalog import CreditType, Plan
from services.catalog.entitlements import open_subscription
from services.catalog.packages import PackageView, package_for_sale
from services.catalog.plans import plan_named
from services.catalog.wallets import wallet_of
from services.clock import business_now
from services.ledger.opening import lock_accounts
from services.unit_of_work import atomic

# Stripe lets a session live a day at most and keeps an idempotency key for at least one: within this time
# the same order can always be continued.
ORDER_HOURS = 23
# A session must have half an hour to live when it is made.
LATEST_START = timedelta(minutes=40)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """An order in plain values. Units: ``credits`` in the smallest unit, ``price_cents`` in minor units."""

    id: int
    public_id: str
    kind: str
    plan_id: int | None
    interval: str | None
    account_id: int
    account_public_id: str
    account_name: str
    customer_id: str | None
    email: str | None
    credit_type_id: int
    credits: int
    scale: int
    price_cents: int
    currency: str
    description: str
    status: str
    session_id: str | None
    url: str | None
    success_url: str
    cancel_url: str
    flag: str | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """What someone asks for: a package by its code or price id, funds for the account's money wallet, a plan
    by its code for an interval, or to keep a card (none of these).

    Units: ``funds_cents`` in minor units.
    """

    account_id: int
    package: str | None = None
    funds_cents: int | None = None
    plan: str | None = None
    interval: str | None = None
    request_key: str
    actor: str
    email: str | None
    success_url: str
    cancel_url: str


@atomic
def begin_order(new: NewOrder) -> OrderView:
    """Write the order down, or find the one that this request key has begun.

    Raises NotFound, AccountFrozen, SubscriptionRequired, InvalidRequest, IdempotencyKeyReused where the key
    named something else, Conflict where its order is over.
    """
    lock_accounts(new.account_id)
    account = db.session.get(Account, new.account_id, populate_existing=True)
    if account is None:
        raise NotFound("There is no such account.")
    known = db.session.scalar(
        select(Order).where(Order.account_id == account.id, Order.request_key == new.request_key)
    )
    if known is not None:
        return _continued(known, new)
    if account.status in ("frozen", "parked"):
        raise AccountFrozen("The account is frozen: nothing can be bought.")
    if new.plan is not None:
        return view_of(_inserted(account, _plan(account, new), new))
    if new.funds_cents is not None:
        return view_of(_inserted(account, _funds(account, new), new))
    if new.package is None:
        return view_of(_inserted(account, _card(account), new))
    package = package_for_sale(account.id, new.package)
    if package.currency != account.currency:
        raise InvalidRequest.of(
            "package",
            f"is sold in {package.currency.upper()}, but this account pays in {account.currency.upper()}",
        )
    return view_of(_inserted(account, _package(package), new))


def _continued(order: Order, new: NewOrder) -> OrderView:
    if order.package is not None:
        is_same = new.package in (order.package.code, order.package.price_id)
    elif order.plan is not None:
        is_same = (new.plan, new.interval) == (order.plan.code, order.interval)
    elif order.kind == "funds":
        is_same = new.package is None and new.funds_cents == order.price_cents
    else:
        is_same = new.package is new.funds_cents is new.plan is None
    if not is_same:
        raise IdempotencyKeyReused("This key has begun an order of something else.")
    if order.status == "expired":
        raise Conflict("The order of this key is over; begin another.")
    if order.status == "pending" and order.expires_at - business_now() < LATEST_START:
        raise Conflict("The order of this key has waited too long; begin another.")
    return view_of(order)


def _package(package: PackageView) -> dict[str, Any]:
    return {
        "package_id": package.package_id,
        "credit_type_id": package.credit_type_id,
        "credits": package.credits,
        "price_cents": package.price_cents,
        "currency": package.currency,
        "description": package.name,
    }


def _funds(account: Account, new: NewOrder) -> dict[str, Any]:
    """Money for money: the wallet takes in what is paid."""
    assert new.funds_cents is not None
    wallet = wallet_of(account.id)
    return {
        "kind": "funds",
        "credit_type_id": wallet.credit_type_id,
        "credits": wallet.units_of_cents(new.funds_cents),
        "price_cents": new.funds_cents,
        "currency": wallet.currency,
        "description": f"Funds for {wallet.name}",
    }


def _plan(account: Account, new: NewOrder) -> dict[str, Any]:
    """A plan for an interval; whoever subscribes by the month for the first time has the plan's offer."""
    plan = plan_named(account.id, new.plan or "")
    current = open_subscription(account.id)
    if current is not None and current.stripe_subscription_id is not None:
        raise Conflict("The account subscribes already; change the plan instead.")
    price = plan.monthly_price_cents if new.interval == "month" else plan.annual_price_cents
    if plan.is_default or not price:
        raise InvalidRequest.of("plan", "is not sold")
    if plan.catalog.currency != account.currency:
        raise InvalidRequest.of("plan", f"is sold in {plan.catalog.currency.upper()}")
    return {
        "kind": "subscription",
        "plan_id": plan.id,
        "interval": new.interval,
        "credit_type_id": plan.credit_type_id,
        "credits": 0,
        "price_cents": price - (_offered_off(account.id, plan, price) if new.interval == "month" else 0),
        "currency": plan.catalog.currency,
        "description": plan.name,
    }


def _offered_off(account_id: int, plan: Plan, price_cents: int) -> int:
    """What the plan's offer takes off the first invoice, rounded half up as the provider does."""
    subscribed_before = select(Subscription.id).where(
        Subscription.account_id == account_id, Subscription.stripe_subscription_id.is_not(None)
    )
    if plan.offer_percent is None or db.session.scalar(subscribed_before.limit(1)) is not None:
        return 0
    return (price_cents * plan.offer_percent * 2 + 100) // 200


def _card(account: Account) -> dict[str, Any]:
    """A card to keep: nothing is sold."""
    first_type = select(CreditType.id).order_by(CreditType.position, CreditType.id).limit(1)
    return {
        "kind": "card",
        "credit_type_id": db.session.scalar(first_type),
        "credits": 0,
        "price_cents": 0,
        "currency": account.currency,
        "description": "A card for later payments",
    }


def _inserted(account: Account, bought: dict[str, Any], new: NewOrder) -> Order:
    now = business_now()
    order = Order(
        **bought,
        public_id=secrets.token_hex(12),
        account_id=account.id,
        email=new.email or account.email,
        request_key=new.request_key,
        success_url=new.success_url,
        cancel_url=new.cancel_url,
        actor=new.actor,
        created_at=now,
        expires_at=now.replace(microsecond=0) + timedelta(hours=ORDER_HOURS),
    )
    db.session.add(order)
    db.session.flush()
    return order


@atomic
def keep_customer(account_id: int, customer_id: str) -> str:
    """Note an account's customer; where another request was first, its customer."""
    lock_accounts(account_id)
    account = db.session.get_one(Account, account_id, populate_existing=True)
    account.stripe_customer_id = account.stripe_customer_id or customer_id
    return account.stripe_customer_id


@atomic
def forget_customer(customer_id: str) -> int | None:
    """Let go of a customer that the provider no longer has; the account it was of. Idempotent."""
    account = db.session.scalar(select(Account).where(Account.stripe_customer_id == customer_id))
    if account is None:
        return None
    account.stripe_customer_id = None
    db.session.execute(delete(SavedCard).where(SavedCard.account_id == account.id))  # a customer's cards go with it
    return account.id


@atomic
def keep_session(order_id: int, session: CheckoutSession) -> OrderView:
    """Note the Checkout Session of an order. Idempotent."""
    order = db.session.get_one(Order, order_id, with_for_update=True, populate_existing=True)
    if order.stripe_session_id is None:
        order.stripe_session_id = session.id
    if order.status == "pending":
        order.status = "open"
    if order.stripe_session_id == session.id:
        order.checkout_url = session.url or order.checkout_url
    return view_of(order)


@atomic
def close_order(order_id: int) -> bool:
    """End an order that was not paid. Whether it was still under way. Idempotent."""
    order = db.session.get_one(Order, order_id, with_for_update=True, populate_existing=True)
    if order.status not in ("pending", "open"):
        return False
    order.status, order.closed_at = "expired", business_now()
    return True


def view_of(order: Order) -> OrderView:
    """An order in plain values."""
    account = db.session.get_one(Account, order.account_id)
    return OrderView(
        id=order.id,
        public_id=order.public_id,
        kind=order.kind or "package",
        plan_id=order.plan_id,
        interval=order.interval,
        account_id=order.account_id,
        account_public_id=account.public_id,
        account_name=account.name,
        customer_id=account.stripe_customer_id,
        email=order.email,
        credit_type_id=order.credit_type_id,
        credits=order.credits,
        scale=order.credit_type.scale,
        price_cents=order.price_cents,
        currency=order.currency,
        description=order.description,
        status=order.status or "pending",
        session_id=order.stripe_session_id,
        url=order.checkout_url,
        success_url=order.success_url,
        cancel_url=order.cancel_url,
        flag=order.flag,
        created_at=order.created_at,
        expires_at=order.expires_at,
    )

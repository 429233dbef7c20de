"""Subscriptions in their simplest form: a plan that an operator, or the team's own program, gives.

A month's credits are granted once per subscription and month. Source: docs/ledger.md, expiry.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from errors import InvalidRequest
from extensions import db
from models.accounts import Account
from models.billing import Subscription, SubscriptionMonth
from models.catalog import Plan
from services.audit import record
from services.catalog.credit_expiry import credits_expire_at
from services.catalog.entitlements import has_active_subscription, open_subscription
from services.catalog.plans import current_plan, plan_named
from services.clock import business_now
from services.ledger.grants import Incoming, grant_credits
from services.ledger.opening import lock_accounts
from services.periods import month_index, months_after
from services.unit_of_work import atomic

INTERVAL_MONTHS = {"month": 1, "year": 12}


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """The plan an account is on.

    Units: ``price_cents`` in minor units an interval, ``credits_per_month`` in the smallest unit of the
    credit type. ``plan`` is the free default plan's code, or None, where there is no subscription.
    """

    has_active_subscription: bool
    plan: str | None
    plan_name: str | None
    features: tuple[str, ...]
    status: str | None
    interval: str | None
    price_cents: int | None
    currency: str | None
    credits_per_month: int
    current_period_end: datetime | None
    cancel_at_period_end: bool
    pending_plan: str | None


def subscription_of(account_id: int) -> SubscriptionView:
    """What an account subscribes to, as of now. Raises NotFound."""
    plan = current_plan(account_id)
    subscription = open_subscription(account_id)
    if subscription is None or plan is None:
        return _without_subscription(plan)
    is_monthly = subscription.interval == "month"
    return SubscriptionView(
        has_active_subscription=has_active_subscription(account_id),
        plan=plan.code,
        plan_name=plan.name,
        features=tuple(json.loads(plan.features)),
        status=subscription.status,
        interval=subscription.interval,
        price_cents=plan.monthly_price_cents if is_monthly else plan.annual_price_cents,
        currency=plan.catalog.currency,
        credits_per_month=plan.credits_per_month,
        current_period_end=_current_period_end(subscription, _time_zone(account_id)),
        cancel_at_period_end=subscription.cancel_at_period_end,
        pending_plan=None,
    )


def _without_subscription(plan: Plan | None) -> SubscriptionView:
    return SubscriptionView(
        has_active_subscription=False,
        plan=plan.code if plan else None,
        plan_name=plan.name if plan else None,
        features=tuple(json.loads(plan.features)) if plan else (),
        status=None,
        interval=None,
        price_cents=plan.monthly_price_cents if plan else None,
        currency=plan.catalog.currency if plan else None,
        credits_per_month=plan.credits_per_month if plan else 0,
        current_period_end=None,
        cancel_at_period_end=False,
        pending_plan=None,
    )


@atomic
def set_plan(
    account_id: int, plan_code: str, interval: str = "month", actor: str = "command"
) -> SubscriptionView:
    """Put an account on a plan without Stripe: ends what it has, starts another, grants the month's credits.

    Idempotent: the plan and interval it already has are kept, and nothing is granted again. The free
    default plan ends the subscription. Raises NotFound, InvalidRequest, AccountFrozen where it is parked.
    """
    if interval not in INTERVAL_MONTHS:
        raise InvalidRequest.of("interval", "must be month or year")
    lock_accounts(account_id)
    plan = plan_named(account_id, plan_code)
    current = open_subscription(account_id)
    if current and (current.plan_id, current.interval, current.status) == (plan.id, interval, "comped"):
        return subscription_of(account_id)
    now = business_now()
    anchor_at = now  # months of usage go on where they were: another plan is no new month
    if current is not None:
        anchor_at = current.anchor_at
        current.status, current.ended_at = "canceled", now
        db.session.flush()
    if not plan.is_default:
        subscription_id = _start(account_id, plan, interval, now, anchor_at, actor)
        _grant_month(subscription_id, 0, actor)
    record("subscription.set", actor, account_id, plan=plan.code, interval=interval)
    return subscription_of(account_id)


def _start(
    account_id: int, plan: Plan, interval: str, now: datetime, anchor_at: datetime, actor: str
) -> int:
    subscription = Subscription(
        public_id=secrets.token_hex(12),
        account_id=account_id,
        plan_id=plan.id,
        status="comped",
        interval=interval,
        actor=actor,
        started_at=now,
        anchor_at=anchor_at,
        current_period_start=now,
        current_period_end=months_after(now, INTERVAL_MONTHS[interval], _time_zone(account_id)),
    )
    db.session.add(subscription)
    db.session.flush()
    return subscription.id


def grant_monthly_credits(now: datetime | None = None) -> int:
    """Grant each month's credits of comped plans that is due and not granted; how many months.

    Idempotent: once per subscription and month. A month that was missed is made up for, unless its credits
    would be over by now.
    """
    now = now or business_now()
    due = db.session.execute(
        select(Subscription.id, Subscription.started_at, Account.time_zone)
        .join(Account, Account.id == Subscription.account_id)
        .join(Plan, Plan.id == Subscription.plan_id)
        .where(
            Subscription.status == "comped",
            Subscription.ended_at.is_(None),
            Subscription.started_at <= now,
            Plan.credits_per_month > 0,
            Account.status != "parked",
        )
    ).all()
    granted = 0
    for subscription_id, started_at, time_zone in due:
        latest = month_index(started_at, now, time_zone)
        granted += sum(
            _grant_month(subscription_id, month, "job:monthly-grants")
            for month in _missing(subscription_id, latest)
        )
    return granted


def _missing(subscription_id: int, latest: int) -> list[int]:
    """The months up to the latest that were not granted."""
    known = set(
        db.session.scalars(
            select(SubscriptionMonth.month).where(SubscriptionMonth.subscription_id == subscription_id)
        )
    )
    return [month for month in range(latest + 1) if month not in known]


@atomic
def _grant_month(subscription_id: int, month: int, actor: str) -> bool:
    """Grant one month's credits where nobody has. Whether this call did."""
    subscription = db.session.get_one(Subscription, subscription_id)
    lock_accounts(subscription.account_id)
    db.session.refresh(subscription)
    plan = subscription.plan
    if subscription.ended_at is not None or plan.credits_per_month == 0:
        return False
    if db.session.get(SubscriptionMonth, (subscription_id, month)) is not None:
        return False
    time_zone = _time_zone(subscription.account_id)
    starts_at = months_after(subscription.started_at, month, time_zone)
    ends_at = months_after(subscription.started_at, month + 1, time_zone)
    expires_at = credits_expire_at(plan.credits_expire, starts_at, ends_at)
    if expires_at is not None and expires_at <= business_now():
        return False
    receipt = grant_credits(
        Incoming(
            account_id=subscription.account_id,
            credit_type=plan.credit_type.code,
            amount=plan.credits_per_month,
            source="subscription",
            actor=actor,
            expires_at=expires_at,
            description=f"{plan.name}: credits of the month",
        )
    )
    db.session.add(
        SubscriptionMonth(
            subscription_id=subscription_id, month=month, starts_at=starts_at, ends_at=ends_at,
            grant_id=receipt.grant_id,
        )
    )  # fmt: skip
    db.session.flush()
    return True


def _current_period_end(subscription: Subscription, time_zone: str) -> datetime | None:
    """Of a comped plan counted from its start, so that it needs no job to be right."""
    if subscription.status != "comped":
        return subscription.current_period_end
    step = INTERVAL_MONTHS[subscription.interval]
    passed = (
        month_index(subscription.started_at, max(business_now(), subscription.started_at), time_zone) // step
    )
    return months_after(subscription.started_at, (passed + 1) * step, time_zone)


def _time_zone(account_id: int) -> str:
    return db.session.scalar(select(Account.time_zone).where(Account.id == account_id)) or "UTC"

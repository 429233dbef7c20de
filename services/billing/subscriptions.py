"""The plan an account is on, and plans that an operator, or the team's own program, gives without payment.

A month's credits are granted once per subscription and month. Source: docs/subscriptions.md.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select

from errors import Conflict, InvalidRequest
from extensions import db
from models.accounts import Account
from models.billing import Payment, Subscription
from models.catalog import Plan
from services.audit import record
from services.billing.announcements import publish_subscription, subscription_state
from services.billing.period_credits import Month, grant_month, granted_months
from services.catalog.entitlements import has_active_subscription, open_subscription
from services.catalog.plans import current_plan, plan_named
from services.clock import business_now, iso
from services.ledger.opening import lock_accounts
from services.notices.notices import notify
from services.periods import month_index, months_after
from services.unit_of_work import atomic

INTERVAL_MONTHS = {"month": 1, "year": 12}
# Stripe counts the months of its periods in this zone.
PROVIDER_ZONE = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionView:
    """The plan an account is on.

    Units: ``price_cents`` in minor units an interval, ``credits_per_month`` in the smallest unit of the
    credit type. ``plan`` is the free default plan's code, or None, where there is no subscription.
    ``is_stripe``: it is paid through Stripe, and can be changed and cancelled there. ``hosted_invoice_url``:
    where the payment that is missing can be made.
    """

    has_active_subscription: bool
    plan: str | None
    plan_id: int | None
    plan_name: str | None
    features: tuple[str, ...]
    status: str | None
    interval: str | None
    price_cents: int | None
    currency: str | None
    credits_per_month: int
    is_stripe: bool = False
    started_at: datetime | None = None
    anchor_at: datetime | None = None
    current_period_start: datetime | None = None
    current_period_end: datetime | None = None
    cancel_at_period_end: bool = False
    pending_plan: str | None = None
    pending_plan_name: str | None = None
    pending_interval: str | None = None
    pending_at: datetime | None = None
    past_due_since: datetime | None = None
    hosted_invoice_url: str | None = None


def subscription_of(account_id: int) -> SubscriptionView:
    """What an account subscribes to, as of now. Raises NotFound."""
    plan = current_plan(account_id)
    subscription = open_subscription(account_id)
    if subscription is None or plan is None:
        return _without_subscription(plan)
    is_monthly = subscription.interval == "month"
    pending, period_end = subscription.pending_plan, _current_period_end(subscription, _time_zone(account_id))
    return SubscriptionView(
        has_active_subscription=has_active_subscription(account_id),
        plan=plan.code,
        plan_id=plan.id,
        plan_name=plan.name,
        features=tuple(json.loads(plan.features)),
        status=subscription.status,
        interval=subscription.interval,
        price_cents=plan.monthly_price_cents if is_monthly else plan.annual_price_cents,
        currency=plan.catalog.currency,
        credits_per_month=plan.credits_per_month,
        is_stripe=subscription.stripe_subscription_id is not None,
        started_at=subscription.started_at,
        anchor_at=subscription.anchor_at,
        current_period_start=subscription.current_period_start,
        current_period_end=period_end,
        # A change of rhythm ends the old subscription at the provider, but not the customer's.
        cancel_at_period_end=subscription.cancel_at_period_end and pending is None,
        pending_plan=pending.code if pending else None,
        pending_plan_name=pending.name if pending else None,
        pending_interval=subscription.pending_interval,
        pending_at=period_end if pending else None,
        past_due_since=subscription.past_due_since,
        hosted_invoice_url=_unpaid_invoice(subscription),
    )


def _unpaid_invoice(subscription: Subscription) -> str | None:
    return db.session.scalar(
        select(Payment.hosted_invoice_url)
        .where(Payment.subscription_id == subscription.id, Payment.status.in_(("failed", "pending")))
        .order_by(Payment.id.desc())
        .limit(1)
    )


def _without_subscription(plan: Plan | None) -> SubscriptionView:
    return SubscriptionView(
        has_active_subscription=False,
        plan=plan.code if plan else None,
        plan_id=plan.id if plan else None,
        plan_name=plan.name if plan else None,
        features=tuple(json.loads(plan.features)) if plan else (),
        status=None,
        interval=None,
        price_cents=plan.monthly_price_cents if plan else None,
        currency=plan.catalog.currency if plan else None,
        credits_per_month=plan.credits_per_month if plan else 0,
    )


@atomic
def set_plan(
    account_id: int, plan_code: str, interval: str = "month", actor: str = "command"
) -> SubscriptionView:
    """Put an account on a plan without Stripe: ends what it has, starts another, grants the month's credits.

    Idempotent: the plan and interval it already has are kept, and nothing is granted again. The free
    default plan ends the subscription. Raises NotFound, InvalidRequest, Conflict where a subscription is paid
    through Stripe, AccountFrozen where it is parked.
    """
    if interval not in INTERVAL_MONTHS:
        raise InvalidRequest.of("interval", "must be month or year")
    lock_accounts(account_id)
    plan = plan_named(account_id, plan_code)
    current = open_subscription(account_id)
    if current is not None and current.stripe_subscription_id is not None:
        raise Conflict("This account pays for its plan through Stripe; cancel that first.")
    if current and (current.plan_id, current.interval, current.status) == (plan.id, interval, "comped"):
        return subscription_of(account_id)
    now, before = business_now(), current.plan.name if current is not None else ""
    anchor_at = now  # months of usage go on where they were: another plan is no new month
    if current is not None:
        anchor_at = current.anchor_at
        state_before = subscription_state(current)
        current.status, current.ended_at = "canceled", now
        publish_subscription(current, state_before)
    if not plan.is_default:
        subscription_id = _start(account_id, plan, interval, now, anchor_at, actor)
        _grant(subscription_id, _months(now, now, _time_zone(account_id))[0], actor)
    record("subscription.set", actor, account_id, plan=plan.code, interval=interval)
    after = "" if plan.is_default else plan.name
    if before != after:
        notify(account_id, "plan_changed", f"plan:{plan.id}:{iso(now)}", before=before, now=after)
    return subscription_of(account_id)


def _start(account_id: int, plan: Plan, interval: str, now: datetime, anchor_at: datetime, actor: str) -> int:
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
    publish_subscription(subscription, {})
    return subscription.id


def grant_monthly_credits(now: datetime | None = None) -> int:
    """Grant each month's credits of given and annual plans that is due and not granted; how many months.

    Months of a plan paid through Stripe count from its period's begin, and only where that period is paid.
    Idempotent: once per subscription and month. A month that was missed is made up for, unless its credits
    would be over by now.
    """
    now = now or business_now()
    granted = 0
    for subscription in _with_months(now):
        is_given = subscription.stripe_subscription_id is None
        first, zone = _first_month_at(subscription), _zone_of_months(subscription)
        known, start, end = (
            granted_months(subscription.id), subscription.current_period_start, subscription.current_period_end
        )  # fmt: skip
        for month in _months(first, now, zone):
            is_paid = start <= month.starts_at and (end is None or month.starts_at < end)
            if (is_given or is_paid) and month.starts_at not in known:
                granted += _grant(subscription.id, month, "job:monthly-grants")
    return granted


def next_month_at(after: datetime) -> datetime | None:
    """When the next month begins whose credits the job grants; None where no plan is of that kind."""
    starts = [
        _months(_first_month_at(subscription), after, _zone_of_months(subscription))[-1].ends_at
        for subscription in _with_months(after)
    ]
    return min(starts, default=None)


def _first_month_at(subscription: Subscription) -> datetime:
    is_given = subscription.stripe_subscription_id is None
    return subscription.started_at if is_given else subscription.anchor_at


def _zone_of_months(subscription: Subscription) -> str:
    """A given plan's months are of the account's zone, a paid one's of the provider's."""
    is_given = subscription.stripe_subscription_id is None
    return _time_zone(subscription.account_id) if is_given else PROVIDER_ZONE


def _with_months(now: datetime) -> list[Subscription]:
    """Open subscriptions whose months are granted by the job, as far as they are paid."""
    return list(
        db.session.scalars(
            select(Subscription)
            .join(Account, Account.id == Subscription.account_id)
            .join(Plan, Plan.id == Subscription.plan_id)
            .where(
                or_(
                    Subscription.status == "comped",
                    (Subscription.status == "active") & (Subscription.interval == "year") & _is_paid(),
                ),
                Subscription.ended_at.is_(None),
                Subscription.started_at <= now,
                Plan.credits_per_month > 0,
                Account.status != "parked",
            )
        )
    )


def _is_paid() -> ColumnElement[bool]:
    """Whether there is a payment for the subscription's present period."""
    return (
        select(Payment.id)
        .where(
            Payment.subscription_id == Subscription.id,
            Payment.period_start == Subscription.current_period_start,
            Payment.paid_at.is_not(None),
            Payment.status != "refunded",
        )
        .exists()
    )


def _months(first: datetime, now: datetime, zone: str) -> list[Month]:
    """Every month from an instant up to the one that now lies in."""
    return [
        Month(months_after(first, number, zone), months_after(first, number + 1, zone))
        for number in range(month_index(first, max(now, first), zone) + 1)
    ]


@atomic
def _grant(subscription_id: int, month: Month, actor: str) -> bool:
    """Grant a month's credits where the subscription is still open. Whether this call did."""
    subscription = db.session.get_one(Subscription, subscription_id)
    lock_accounts(subscription.account_id)
    db.session.refresh(subscription)
    if subscription.ended_at is not None:
        return False
    return grant_month(subscription, subscription.plan, month, actor)


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

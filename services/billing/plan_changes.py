"""Another plan for a subscription paid through Stripe: better ones now, smaller ones with the period's end.

A change is written down, committed, asked of the provider, and its outcome read back from there; a process
that dies in between leaves what the same request, or the daily comparison, completes.
Source: docs/subscriptions.md, changing the plan.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select

from errors import AccountFrozen, Conflict, InvalidRequest, PaymentDeclined, PaymentProviderUnavailable
from extensions import db
from gateways.payments import Payments
from gateways.subscriptions import ChangeRequest, SubscriptionFacts
from models.accounts import Account
from models.billing import Subscription
from models.catalog import Plan
from services.audit import record
from services.billing.period_credits import granted_month
from services.billing.stripe_subscriptions import follow_invoice, follow_subscription
from services.billing.stripe_sync import price_for_subscribing
from services.catalog.entitlements import open_subscription
from services.catalog.plans import plan_named
from services.clock import business_now
from services.ledger.balances import lots_of
from services.ledger.opening import lock_accounts
from services.unit_of_work import atomic

Effect = Literal["now", "at_period_end"]
# A preview older than this is looked at again; none may choose an instant at which less is due.
PREVIEW_HOLDS = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePreview:
    """What a change would bring. Units: cents in minor units, ``credits_now`` in the plan's credit type.

    ``prorated_at``: the instant the amounts are of; a change within its form asks for the same.
    """

    effect: Effect
    plan: str
    plan_name: str
    interval: str
    new_price_cents: int
    currency: str
    amount_due_cents: int
    credits_now: int
    effective_at: datetime
    prorated_at: datetime
    lines: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """What a change came to. ``url``: where the payer confirms, where the bank asks."""

    status: Literal["changed", "pending", "requires_action"]
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Losses:
    """What ends with a subscription. Units: ``credits`` in the smallest unit of the credit type."""

    ends_at: datetime | None
    plan_name: str
    credits: int
    credit_type: str
    features: tuple[str, ...]
    falls_back_to: str | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A change that makes sense, with the rows it concerns."""

    subscription: Subscription
    plan: Plan
    interval: str
    effect: Effect

    @property
    def price_cents(self) -> int:
        """Minor units an interval."""
        plan = self.plan
        return (plan.monthly_price_cents if self.interval == "month" else plan.annual_price_cents) or 0


def preview_change(account_id: int, plan_code: str, interval: str, payments: Payments) -> ChangePreview:
    """What a change would cost and bring, changing nothing.

    Raises NotFound, InvalidRequest, Conflict where there is nothing to change, PaymentProviderUnavailable.
    """
    wanted = _wanted(account_id, plan_code, interval)
    now = business_now().replace(microsecond=0)
    due, lines, currency = 0, (), wanted.plan.catalog.currency
    if wanted.effect == "now":
        told = payments.preview_change(_request(wanted, payments, "preview", now))
        due, lines, currency = told.amount_due_cents, told.lines, told.currency
    ends_at = wanted.subscription.current_period_end or now
    return ChangePreview(
        effect=wanted.effect, plan=wanted.plan.code, plan_name=wanted.plan.name, interval=interval,
        new_price_cents=wanted.price_cents, currency=currency, amount_due_cents=due,
        credits_now=_credits_now(wanted, now) if wanted.effect == "now" else 0,
        effective_at=now if wanted.effect == "now" else ends_at, prorated_at=now, lines=lines,
    )  # fmt: skip


def change_plan(
    account_id: int,
    plan_code: str,
    interval: str,
    *,
    request_key: str,
    actor: str,
    payments: Payments,
    prorated_at: datetime | None = None,
    expected_cents: int | None = None,
) -> ChangeOutcome:
    """Change the plan now, or note the change for the end of the period.

    ``prorated_at`` and ``expected_cents`` are those of the preview that was agreed to. Idempotent: one
    ``request_key`` changes once. Raises PaymentDeclined with nothing changed, Conflict where the amount is
    another by now, and what ``preview_change`` raises.
    """
    wanted = _wanted(account_id, plan_code, interval)
    if wanted.effect == "at_period_end":
        return _change_later(wanted, request_key, actor, payments)
    at = _agreed_instant(prorated_at)
    request = _request(wanted, payments, _key(wanted, request_key), at)
    if expected_cents is not None:
        due = payments.preview_change(request).amount_due_cents
        if due != expected_cents:
            raise Conflict("What is due has changed. Look at the new amount and confirm again.")
    if wanted.subscription.cancel_at_period_end or wanted.subscription.pending_plan_id is not None:
        _keep_going(wanted.subscription, f"{request.key}-resume", payments)
    facts = payments.change_subscription(request)
    if facts.has_pending_update:
        try:
            return _unpaid(facts, actor, payments)
        except PaymentDeclined:
            # What was to happen with the period's end still is.
            settle_pending(wanted.subscription.id, payments, f"{request.key}-again")
            raise
    follow_subscription(facts.id, actor, payments)
    note_change(account_id, "subscription.changed", actor, plan=plan_code, interval=interval)
    return ChangeOutcome("changed")


def _wanted(account_id: int, plan_code: str, interval: str) -> _Wanted:
    if interval not in ("month", "year"):
        raise InvalidRequest.of("interval", "must be month or year")
    plan, current = plan_named(account_id, plan_code), _paid_subscription(account_id)
    if db.session.get_one(Account, account_id).status in ("frozen", "parked"):
        raise AccountFrozen("The account is frozen: the plan cannot be changed.")
    if plan.is_default:
        raise InvalidRequest.of("plan", "is the free plan; cancel the subscription instead")
    price = plan.monthly_price_cents if interval == "month" else plan.annual_price_cents
    if not price:
        raise InvalidRequest.of("interval", f"is not sold for {plan.name}")
    if (plan.id, interval) == (current.plan_id, current.interval):
        raise Conflict("The account is on this plan already.")
    if current.status != "active":
        raise Conflict("A payment is missing; make it before you change the plan.")
    return _Wanted(current, plan, interval, _effect(current, plan, interval))


def _agreed_instant(prorated_at: datetime | None) -> datetime:
    """The second that amounts are of: now, or that of a preview just made. Raises Conflict for another."""
    now = business_now().replace(microsecond=0)
    if prorated_at is None:
        return now
    if not now - PREVIEW_HOLDS <= prorated_at <= now:
        raise Conflict("The amount is out of date. Look at the new one and confirm again.")
    return prorated_at


def _effect(current: Subscription, plan: Plan, interval: str) -> Effect:
    """A better plan begins now; a smaller one, and paying by the month again, with the end of the period."""
    if current.interval == "year" and interval == "month":
        return "at_period_end"
    return (
        "now"
        if (plan.monthly_price_cents or 0) >= (current.plan.monthly_price_cents or 0)
        else "at_period_end"
    )


def _paid_subscription(account_id: int) -> Subscription:
    current = open_subscription(account_id)
    if current is None:
        raise Conflict("The account has no subscription.")
    if current.stripe_subscription_id is None:
        raise Conflict("This plan was given, not bought; ask whoever runs the service to change it.")
    return current


def _request(wanted: _Wanted, payments: Payments, key: str, at: datetime | None) -> ChangeRequest:
    stripe_id = wanted.subscription.stripe_subscription_id or ""
    price_id = price_for_subscribing(wanted.plan, wanted.interval, payments)
    return ChangeRequest(
        key=key, subscription_id=stripe_id, item_id=payments.subscription(stripe_id).item_id,
        price_id=price_id, is_billed_now=at is not None, prorated_at=at,
    )  # fmt: skip


def _key(wanted: _Wanted, request_key: str) -> str:
    """What one form asks for, once: forms are random, and their texts may be long."""
    told = f"{request_key}/{wanted.plan.code}/{wanted.interval}"
    return f"{wanted.subscription.public_id}-{hashlib.sha256(told.encode()).hexdigest()[:32]}"


def _credits_now(wanted: _Wanted, now: datetime) -> int:
    """What the change grants at once, as it will be worked out from the invoice."""
    old, month = wanted.subscription.plan, granted_month(wanted.subscription.id, now)
    if wanted.interval != wanted.subscription.interval:
        unused = month.left_of(old.credits_per_month, now) if month else 0
        return max(wanted.plan.credits_per_month - unused, 0)
    more = max(wanted.plan.credits_per_month - old.credits_per_month, 0)
    return month.left_of(more, now) if month else more


def _unpaid(facts: SubscriptionFacts, actor: str, payments: Payments) -> ChangeOutcome:
    """The change waits for its payment: the bank asks, or the card was refused and it is off."""
    invoice = payments.invoice(facts.latest_invoice_id or "")
    if invoice.needs_action:
        follow_invoice(invoice.id, actor, payments)
        return ChangeOutcome("requires_action", invoice.hosted_invoice_url)
    payments.void_invoice(invoice.id)
    follow_subscription(facts.id, actor, payments)
    raise PaymentDeclined(invoice.failure or "The payment was declined; the plan is as it was.")


def _change_later(wanted: _Wanted, request_key: str, actor: str, payments: Payments) -> ChangeOutcome:
    current = wanted.subscription
    before = current.pending_plan_id, current.pending_interval
    _plan_change(current.id, wanted.plan.id, wanted.interval, actor)
    try:
        settle_pending(current.id, payments, _key(wanted, request_key))
    except PaymentProviderUnavailable:
        # Perhaps the provider knows of it: it stays noted, and the daily comparison asks again.
        raise
    except Exception:
        _restore_change(current.id, *before)
        raise
    return ChangeOutcome("pending")


def settle_pending(subscription_id: int, payments: Payments, key: str) -> None:
    """Make the provider agree with a change that waits for the period's end. Idempotent."""
    current = db.session.get_one(Subscription, subscription_id, populate_existing=True)
    if current.pending_plan_id is None or current.ended_at is not None:
        return
    stripe_id = current.stripe_subscription_id or ""
    if current.pending_interval != current.interval:
        payments.end_with_period(stripe_id, ends=True, key=key)
        return
    if current.cancel_at_period_end:
        payments.end_with_period(stripe_id, ends=False, key=f"{key}-on")
    plan = current.pending_plan
    assert plan is not None
    wanted = _Wanted(current, plan, current.pending_interval or "month", "at_period_end")
    payments.change_subscription(_request(wanted, payments, key, None))


@atomic
def _plan_change(subscription_id: int, plan_id: int, interval: str, actor: str) -> None:
    current = _locked(subscription_id)
    current.pending_plan_id, current.pending_interval = plan_id, interval
    plan = db.session.get_one(Plan, plan_id)
    record("subscription.change_planned", actor, current.account_id, plan=plan.code, interval=interval)


@atomic
def _restore_change(subscription_id: int, plan_id: int | None, interval: str | None) -> None:
    current = _locked(subscription_id)
    current.pending_plan_id, current.pending_interval = plan_id, interval


@atomic
def forget_change(subscription_id: int) -> None:
    """Let the plan in force go on: no change waits any more."""
    current = _locked(subscription_id)
    current.pending_plan_id, current.pending_interval = None, None


def _locked(subscription_id: int) -> Subscription:
    account_id = db.session.scalar(select(Subscription.account_id).where(Subscription.id == subscription_id))
    assert account_id is not None
    lock_accounts(account_id)
    return db.session.get_one(Subscription, subscription_id, populate_existing=True)


def withdraw_pending_change(account_id: int, *, request_key: str, actor: str, payments: Payments) -> None:
    """Keep the plan after all. Idempotent. Raises Conflict where there is no paid subscription."""
    current = _paid_subscription(account_id)
    if current.pending_plan_id is None:
        return
    key = f"{current.public_id}-{hashlib.sha256(request_key.encode()).hexdigest()[:32]}"
    _keep_going(current, key, payments)
    forget_change(current.id)
    follow_subscription(current.stripe_subscription_id or "", actor, payments)
    note_change(account_id, "subscription.change_withdrawn", actor)


def _keep_going(current: Subscription, key: str, payments: Payments) -> None:
    """Undo at the provider whatever would happen with the end of the period."""
    stripe_id = current.stripe_subscription_id or ""
    if payments.subscription(stripe_id).cancel_at_period_end:
        payments.end_with_period(stripe_id, ends=False, key=key)
    if current.pending_plan_id is not None and current.pending_interval == current.interval:
        as_it_was = _Wanted(current, current.plan, current.interval, "at_period_end")
        payments.change_subscription(_request(as_it_was, payments, f"{key}-price", None))


def cancel_subscription(account_id: int, *, request_key: str, actor: str, payments: Payments) -> None:
    """Let the subscription end with its period. Idempotent. Raises Conflict where there is none that is paid."""
    _end(account_id, ends=True, request_key=request_key, actor=actor, payments=payments)


def resume_subscription(account_id: int, *, request_key: str, actor: str, payments: Payments) -> None:
    """Let a subscription that was cancelled go on. Idempotent. Raises Conflict where it has ended."""
    _end(account_id, ends=False, request_key=request_key, actor=actor, payments=payments)


def _end(account_id: int, *, ends: bool, request_key: str, actor: str, payments: Payments) -> None:
    current = _paid_subscription(account_id)
    if current.pending_plan_id is not None:
        withdraw_pending_change(account_id, request_key=request_key, actor=actor, payments=payments)
    key = f"{current.public_id}-{hashlib.sha256(request_key.encode()).hexdigest()[:32]}-{int(ends)}"
    payments.end_with_period(current.stripe_subscription_id or "", ends=ends, key=key)
    follow_subscription(current.stripe_subscription_id or "", actor, payments)
    note_change(account_id, "subscription.cancelled" if ends else "subscription.resumed", actor)


def cancellation_losses(account_id: int) -> Losses:
    """What would end with the subscription: plan, features, credits that expire with or after its period.

    Raises Conflict where there is none that is paid.
    """
    current = _paid_subscription(account_id)
    plan = current.plan
    credits = sum(
        lot.remaining
        for lot in lots_of(account_id, plan.credit_type.code)
        if lot.source == "subscription" and lot.expires_at is not None
    )
    default = next(
        (each for each in plan.catalog.plans if each.is_default and each.archived_at is None), None
    )
    return Losses(
        current.current_period_end, plan.name, credits, plan.credit_type.code, tuple(json.loads(plan.features)),
        default.name if default else None,
    )  # fmt: skip


@atomic
def note_change(account_id: int, action: str, actor: str, **details: str) -> None:
    """Write a change down for the audit."""
    record(action, actor, account_id, **details)

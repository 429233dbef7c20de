"""Subscriptions that follow one which ended for a change of rhythm, nobody being there.

Source: docs/subscriptions.md, changing the plan.
"""

from sqlalchemy import select

from errors import PaymentDeclined
from extensions import db
from gateways.payments import Payments
from gateways.subscriptions import NewSubscription
from models.accounts import Account
from models.billing import SavedCard, Subscription
from services.billing.environment import instance_id
from services.billing.plan_changes import forget_change, note_change
from services.billing.stripe_subscriptions import follow_subscription
from services.billing.stripe_sync import price_for_subscribing
from services.catalog.entitlements import open_subscription


def begin_changed_subscriptions(payments: Payments) -> int:
    """Begin the subscriptions that follow one which ended for a change of rhythm; how many.

    The old one ends at the provider with its period; the new one is paid with the kept card, nobody being
    there. A refused card leaves the account without a subscription, and the change is over. Idempotent.
    """
    ended = db.session.scalars(
        select(Subscription).where(
            Subscription.ended_at.is_not(None),
            Subscription.pending_plan_id.is_not(None),
            Subscription.stripe_subscription_id.is_not(None),
        )
    ).all()
    return sum(_begin_changed(old.id, payments) for old in ended)


def _begin_changed(old_id: int, payments: Payments) -> bool:
    old = db.session.get_one(Subscription, old_id)
    account, card = db.session.get_one(Account, old.account_id), db.session.get(SavedCard, old.account_id)
    plan, interval = old.pending_plan, old.pending_interval or "month"
    if plan is None or open_subscription(old.account_id) is not None or account.status == "frozen":
        forget_change(old_id)
        return False
    if card is None or account.stripe_customer_id is None:
        forget_change(old_id)
        return False
    request = NewSubscription(
        key=f"after-{old.public_id}", instance=instance_id(), account_id=account.public_id,
        customer_id=account.stripe_customer_id, payment_method_id=card.stripe_payment_method_id,
        price_id=price_for_subscribing(plan, interval, payments),
    )  # fmt: skip
    try:
        facts = payments.create_subscription(request)
    except PaymentDeclined as refusal:
        note_change(old.account_id, "subscription.change_declined", "job", reason=refusal.detail[:200])
        forget_change(old_id)
        return False
    follow_subscription(facts.id, "job:monthly-grants", payments)
    forget_change(old_id)
    return True

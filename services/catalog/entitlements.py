"""Whether an account subscribes: what the catalogue must know of billing, and no more."""

from sqlalchemy import select

from extensions import db
from models.billing import ENTITLING_STATUSES, Subscription


def open_subscription(account_id: int) -> Subscription | None:
    """The subscription that has not ended; at most one."""
    return db.session.scalar(
        select(Subscription).where(Subscription.account_id == account_id, Subscription.ended_at.is_(None))
    )


def has_active_subscription(account_id: int) -> bool:
    """Active, trialing, past due or comped; being on the free default plan is not a subscription."""
    subscription = open_subscription(account_id)
    return (
        subscription is not None
        and subscription.status in ENTITLING_STATUSES
        and not subscription.plan.is_default
    )

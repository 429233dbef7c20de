"""The credits that a subscription brings: each month's once, and those of an upgrade for what is left of one.

Source: docs/subscriptions.md, credits.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from extensions import db
from models.billing import Subscription, SubscriptionMonth, UpgradeCredit
from models.catalog import Plan
from models.ledger import Grant
from services.catalog.credit_expiry import credits_expire_at
from services.clock import business_now
from services.ledger.grants import Incoming, grant_credits


@dataclass(frozen=True, slots=True)
class Month:
    """A month of credits. Half-open."""

    starts_at: datetime
    ends_at: datetime

    def left_of(self, amount: int, moment: datetime) -> int:
        """The share of an amount for what is left of the month, rounded down. Units: those of the amount."""
        left, whole = self.ends_at - max(moment, self.starts_at), self.ends_at - self.starts_at
        return amount * max(left // MICROSECOND, 0) // (whole // MICROSECOND)


MICROSECOND = datetime.resolution


def grant_month(
    subscription: Subscription, plan: Plan, month: Month, actor: str, *, amount: int | None = None,
    payment_id: int | None = None,
) -> bool:  # fmt: skip
    """Grant one month's credits where nobody has, inside the caller's unit and lock. Whether this call did.

    ``amount``: what is granted where it is not the plan's whole month. A month whose credits would be over by
    now is left out.
    """
    units = plan.credits_per_month if amount is None else amount
    if units <= 0 or db.session.get(SubscriptionMonth, (subscription.id, month.starts_at)) is not None:
        return False
    expires_at = credits_expire_at(plan.credits_expire, month.starts_at, month.ends_at)
    words = f"{plan.name}: credits of the month"
    grant_id = _granted(subscription, plan, units, expires_at, words, actor, payment_id)
    if grant_id is None:
        return False
    db.session.add(
        SubscriptionMonth(
            subscription_id=subscription.id, starts_at=month.starts_at, ends_at=month.ends_at,
            grant_id=grant_id,
        )
    )  # fmt: skip
    db.session.flush()
    return True


def grant_upgrade(
    subscription: Subscription, old: Plan, new: Plan, month: Month, upgraded_at: datetime, actor: str,
    payment_id: int | None,
) -> bool:  # fmt: skip
    """Grant what the better plan brings for the rest of the month; it expires with the month's own lot.

    Inside the caller's unit and lock; once per month and plan. Whether this call did.
    """
    units = month.left_of(max(new.credits_per_month - old.credits_per_month, 0), upgraded_at)
    if units <= 0 or db.session.get(UpgradeCredit, (subscription.id, month.starts_at, new.id)) is not None:
        return False
    expires_at = credits_expire_at(new.credits_expire, month.starts_at, month.ends_at)
    granted = db.session.get(SubscriptionMonth, (subscription.id, month.starts_at))
    if granted is not None:
        expires_at = db.session.get_one(Grant, granted.grant_id).expires_at
    words = f"Upgrade to {new.name}: credits for the rest of the month"
    grant_id = _granted(subscription, new, units, expires_at, words, actor, payment_id)
    if grant_id is None:
        return False
    db.session.add(
        UpgradeCredit(
            subscription_id=subscription.id,
            month_starts_at=month.starts_at,
            plan_id=new.id,
            grant_id=grant_id,
        )
    )
    db.session.flush()
    return True


def granted_month(subscription_id: int, moment: datetime) -> Month | None:
    """The month that a moment lies in and whose credits were granted."""
    row = db.session.scalar(
        select(SubscriptionMonth)
        .where(SubscriptionMonth.subscription_id == subscription_id, SubscriptionMonth.starts_at <= moment)
        .order_by(SubscriptionMonth.starts_at.desc())
        .limit(1)
    )
    return Month(row.starts_at, row.ends_at) if row is not None and moment < row.ends_at else None


def granted_months(subscription_id: int) -> set[datetime]:
    """When the months began whose credits were granted."""
    return set(
        db.session.scalars(
            select(SubscriptionMonth.starts_at).where(SubscriptionMonth.subscription_id == subscription_id)
        )
    )


def _granted(
    subscription: Subscription, plan: Plan, units: int, expires_at: datetime | None, words: str, actor: str,
    payment_id: int | None,
) -> int | None:  # fmt: skip
    """The lot; None where it would be over by now."""
    if expires_at is not None and expires_at <= business_now():
        return None
    receipt = grant_credits(
        Incoming(
            account_id=subscription.account_id, credit_type=plan.credit_type.code, amount=units,
            source="subscription", actor=actor, expires_at=expires_at, description=words,
            payment_id=payment_id,
        )
    )  # fmt: skip
    return receipt.grant_id

"""The monthly credits that a subscription will bring. Source: docs/subscriptions.md, credits."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from extensions import db
from models.accounts import Account
from models.billing import Subscription
from models.catalog import Plan
from services.billing.subscriptions import PROVIDER_ZONE
from services.catalog.credit_expiry import credits_expire_at
from services.catalog.entitlements import open_subscription
from services.clock import business_now
from services.periods import month_index, months_after

MONTHS = 24
# What is past due may never be paid.
CERTAIN_STATUSES = ("active", "trialing", "comped")


@dataclass(frozen=True, slots=True)
class ComingCredits:
    """A month's credits to come. Units: the smallest of the credit type. ``expires_at`` exclusive; None: never."""

    comes_at: datetime
    units: int
    expires_at: datetime | None


def coming_credits(account_id: int, credit_type_id: int) -> list[ComingCredits]:
    """The next two years' months of one credit type, as far as the subscription goes on."""
    row = open_subscription(account_id)
    if row is None or row.status not in CERTAIN_STATUSES:
        return []
    return [
        ComingCredits(starts, plan.credits_per_month, credits_expire_at(plan.credits_expire, starts, ends))
        for starts, ends, plan in _months(row)
        if plan.credit_type_id == credit_type_id and plan.credits_per_month
    ]


def _months(row: Subscription) -> Iterator[tuple[datetime, datetime, Plan]]:
    is_given = row.stripe_subscription_id is None
    zone = db.session.get_one(Account, row.account_id).time_zone if is_given else PROVIDER_ZONE
    first = row.started_at if is_given else row.anchor_at
    number = month_index(first, max(business_now(), first), zone)
    for month in range(number + 1, number + 1 + MONTHS):
        starts, ends = months_after(first, month, zone), months_after(first, month + 1, zone)
        is_next_period = (
            not is_given and row.current_period_end is not None and starts >= row.current_period_end
        )
        if is_next_period and row.cancel_at_period_end and row.pending_plan is None:
            return
        yield starts, ends, (row.pending_plan or row.plan) if is_next_period else row.plan

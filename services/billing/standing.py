"""Whether an account is past due: a payment that it owes has failed. Source: docs/subscriptions.md, past due."""

from sqlalchemy import select

from extensions import db
from models.accounts import Account
from models.billing import Subscription
from models.overage import Charge


def settle_standing(account_id: int) -> None:
    """Make the account past due, or active again, inside the caller's unit and lock.

    One that is frozen or parked stays so. Idempotent.
    """
    account = db.session.get_one(Account, account_id, populate_existing=True)
    if account.status not in ("active", "past_due"):
        return
    owes = db.session.scalar(
        select(Subscription.id).where(
            Subscription.account_id == account_id, Subscription.ended_at.is_(None),
            Subscription.status == "past_due",
        )
    )  # fmt: skip
    failed = db.session.scalar(
        select(Charge.id).where(Charge.account_id == account_id, Charge.status == "failed").limit(1)
    )
    account.status = "past_due" if owes is not None or failed is not None else "active"

"""Which instance this is, and in which payment environment its database has lived.

A database that knows customers of one environment must not meet the key of another: their ids mean nothing
there, or something else. Source: docs/operations.md, going live.
"""

import secrets

from sqlalchemy import delete, update

from errors import Conflict
from extensions import db
from models.accounts import Account
from models.billing import Order, SavedCard, Subscription
from models.catalog import Package, Plan
from models.inbox import InboxEvent
from services.audit import record
from services.clock import business_now, wall_now
from services.operations.facts import drop_fact, fact, keep_fact
from services.operations.moved_clock import clock_was_moved_at
from services.unit_of_work import atomic

INSTANCE_ID = "instance_id"
PAYMENT_ENVIRONMENT = "payment_environment"
DETACH_COMMAND = "flask --app app stripe detach"
SANDBOX = "sandbox"
NAMES = {SANDBOX: "the built-in sandbox", "test": "a Stripe test account", "live": "live Stripe"}


def instance_id() -> str:
    """The random id of this instance, which everything sent to the provider carries."""
    return fact(INSTANCE_ID) or keep_fact(INSTANCE_ID, secrets.token_hex(12))


def check_environment(environment: str) -> None:
    """Raises Conflict where the database lived in another environment, or its clock was moved."""
    moved_at = clock_was_moved_at()
    if moved_at is not None and environment != SANDBOX:
        raise Conflict(
            f"The clock of this database was moved by time travel (first at {moved_at}), so its bills and "
            "credits are of days that have not been. It stays a demo: start with a new database."
        )
    known = fact(PAYMENT_ENVIRONMENT)
    if known is not None and known != environment:
        raise Conflict(
            f"This database has taken payments with {NAMES[known]}, but the settings name "
            f"{NAMES[environment]}. To let go of the old one's customers and open orders: {DETACH_COMMAND}"
        )


@atomic
def note_environment(environment: str) -> None:
    """Record the environment with the first payment that is begun. Raises Conflict as above. Idempotent."""
    keep_fact(PAYMENT_ENVIRONMENT, environment)
    check_environment(environment)


@atomic
def detach(actor: str) -> dict[str, int]:
    """Forget the payment environment: customers, synced prices, orders under way, events not yet processed.

    Payments and the ledger stay as they are, and so does that a clock was moved. Idempotent.
    Returns how many of each were let go.
    """
    forgotten = {
        "customers": _touched(
            update(Account).where(Account.stripe_customer_id.is_not(None)).values(stripe_customer_id=None)
        ),
        "prices": _touched(
            update(Package)
            .where(Package.stripe_product_id.is_not(None) | Package.stripe_price_id.is_not(None))
            .values(stripe_price_id=None, stripe_product_id=None)
        ),
        "plans": _touched(
            update(Plan)
            .where(Plan.stripe_product_id.is_not(None))
            .values(
                stripe_product_id=None, stripe_monthly_price_id=None, stripe_annual_price_id=None,
                stripe_coupon_id=None,
            )
        ),
        "cards": _touched(delete(SavedCard)),
        "subscriptions": _touched(
            update(Subscription)
            .where(Subscription.stripe_subscription_id.is_not(None), Subscription.ended_at.is_(None))
            .values(status="canceled", ended_at=business_now())
        ),
        "orders": _touched(
            update(Order)
            .where(Order.status.in_(("pending", "open")))
            .values(status="expired", closed_at=business_now(), checkout_url=None)
        ),
        "events": _touched(
            update(InboxEvent)
            .where(InboxEvent.state.in_(("received", "failed")))
            .values(
                state="ignored", error="Detached from the payment environment.", next_attempt_at=None,
                processed_at=wall_now(),
            )
        ),
    }  # fmt: skip
    drop_fact(PAYMENT_ENVIRONMENT)
    record("payments.detached", actor, None, **forgotten)
    return forgotten


def _touched(change: object) -> int:
    return db.session.execute(change).rowcount  # type: ignore[call-overload]

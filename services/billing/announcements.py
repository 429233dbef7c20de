"""What billing tells other programs, in the unit of what happened. Source: docs/webhooks.md."""

import hashlib
import secrets
from typing import Any

from sqlalchemy import bindparam, select

from extensions import db
from models.billing import Payment, Subscription
from models.catalog import Plan
from services.clock import iso
from services.events.publishing import publish
from services.statements import Statement

_payments, _plans = Payment.__table__.c, Plan.__table__.c
PAYMENT_TO_TELL = Statement(
    select(
        _payments.account_id, _payments.public_id, _payments.status, _payments.kind, _payments.description,
        _payments.amount_cents, _payments.tax_cents, _payments.currency, _payments.failure, _plans.code,
        _payments.stripe_payment_intent_id, _payments.stripe_invoice_id,
    )
    .select_from(Payment.__table__.outerjoin(Plan.__table__, _plans.id == _payments.plan_id))
    .where(_payments.id == bindparam("payment_id"))
)  # fmt: skip


def publish_payment(payment_id: int) -> None:
    """Tell what became of a payment, which is flushed: it went through, or it was refused; else nothing.

    Idempotent: once for its success, once for each reason that a payment attempt failed for.
    """
    row = PAYMENT_TO_TELL.first(payment_id=payment_id)
    assert row is not None
    account_id, public_id, status, kind, words, cents, tax, currency, failure, plan, intent, invoice = row
    if status not in ("paid", "failed"):
        return
    data = {
        "payment_id": public_id,
        "kind": kind,
        "description": words,
        "amount_cents": cents,
        "tax_cents": tax,
        "currency": currency,
        "plan": plan,
        "failure": failure if status == "failed" else None,
        "stripe_payment_intent_id": intent,
        "stripe_invoice_id": invoice,
    }
    if status == "paid":
        publish(account_id, "payment.succeeded", f"payment:{public_id}:paid", data)
        return
    reason = hashlib.sha256(f"{intent} {failure}".encode()).hexdigest()[:16]
    publish(account_id, "payment.failed", f"payment:{public_id}:failed:{reason}", data)


def subscription_state(row: Subscription | None) -> dict[str, Any]:
    """A subscription as other programs see it; empty for None."""
    if row is None:
        return {}
    return {
        "subscription_id": row.public_id,
        "plan": row.plan.code,
        "plan_name": row.plan.name,
        "status": row.status,
        "interval": row.interval,
        "is_stripe": row.stripe_subscription_id is not None,
        "started_at": iso(row.started_at),
        "current_period_start": iso(row.current_period_start),
        "current_period_end": iso(row.current_period_end) if row.current_period_end else None,
        "cancel_at_period_end": row.cancel_at_period_end,
        "pending_plan": row.pending_plan.code if row.pending_plan else None,
        "pending_interval": row.pending_interval,
        "ended_at": iso(row.ended_at) if row.ended_at else None,
    }


def publish_subscription(row: Subscription, before: dict[str, Any]) -> None:
    """Tell that a subscription, whose account is locked, is no longer what it was; ``before``: its state then.

    ``previous`` has what changed, as it was; empty where the subscription is new.
    """
    db.session.flush()
    db.session.refresh(row)
    now = subscription_state(row)
    if now == before:
        return
    previous = {name: value for name, value in before.items() if now[name] != value}
    key = f"subscription:{row.public_id}:{secrets.token_hex(8)}"
    publish(row.account_id, "subscription.changed", key, {**now, "previous": previous})

"""Comparing with the payment provider: its Checkouts, refunds and events of the last days against our rows.

What was paid but not credited is credited, refunds nobody told us of are recorded, events that never came are
processed; the rest is listed for an operator. Once it is through, jobs that a restore has paused go on.
Source: docs/operations.md, reconcile.
"""

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select

from errors import CofferError
from extensions import db
from gateways.payments import CheckoutSession, ListedEvent, Payments, UnknownToProvider
from models.billing import Order, Payment, Subscription
from models.inbox import InboxEvent
from models.overage import OPEN_CHARGES, Charge
from services.billing.environment import instance_id
from services.billing.event_handlers import HANDLERS
from services.billing.fulfilment import SETTLED, fulfil_checkout
from services.billing.inbox import process_event, store_event
from services.billing.plan_changes import settle_pending
from services.billing.refunding import finish_refunds
from services.billing.refunds import apply_refunds
from services.billing.stripe_subscriptions import follow_subscription
from services.clock import business_now, iso, wall_now
from services.operations.facts import drop_fact, fact, set_fact
from services.operations.restore import PAYMENTS_PAUSED
from services.overage.charging import follow_charge

DAYS = 30
LAST_RECONCILIATION = "last_reconciliation"
FINDINGS_KEPT = 200
ACTOR = "job:reconcile"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that did not agree. ``is_settled``: it does now."""

    kind: str
    reference: str
    message: str
    is_settled: bool


@dataclass(slots=True)
class Reconciliation:
    """What was compared, how many of each, and what did not agree. ``made_at`` by the wall clock."""

    made_at: datetime
    since: datetime
    checked: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def open_findings(self) -> int:
        """How many want an operator."""
        return sum(not finding.is_settled for finding in self.findings)

    def note(self, kind: str, reference: str, message: str, *, is_settled: bool) -> None:
        """Write a finding down."""
        self.findings.append(Finding(kind, reference, message, is_settled))


def reconcile(payments: Payments, days: int = DAYS) -> Reconciliation:
    """Compare, mend what can be mended, keep the outcome for the console, and let paused jobs go on.

    Idempotent. Raises PaymentProviderUnavailable: then nothing is kept, and what was mended stays mended.
    """
    report = Reconciliation(wall_now(), business_now() - timedelta(days=days))
    _compare_events(report, payments)
    _compare_sessions(report, payments)
    _compare_refunds(report, payments)
    report.checked["refunds asked for"] = finish_refunds(payments)
    _compare_payments(report, payments)
    _compare_subscriptions(report, payments)
    _compare_charges(report, payments)
    _list_flagged(report)
    set_fact(LAST_RECONCILIATION, _document(report))
    drop_fact(PAYMENTS_PAUSED)
    return report


def last_reconciliation() -> Reconciliation | None:
    """The latest outcome; None before the first."""
    kept = fact(LAST_RECONCILIATION)
    if kept is None:
        return None
    document = json.loads(kept)
    return Reconciliation(
        datetime.fromisoformat(document["made_at"]),
        datetime.fromisoformat(document["since"]),
        Counter(document["checked"]),
        [Finding(**finding) for finding in document["findings"]],
    )


def _compare_events(report: Reconciliation, payments: Payments) -> None:
    """Events that were never delivered, oldest first, as they would have come."""
    instance = instance_id()
    missed = [event for event in payments.events_since(report.since) if _counts(report, event, instance)]
    for event in reversed(missed):
        row_id = store_event(event.body, event.id, event.type, event.object_id)
        if row_id is not None:
            state = process_event(row_id, payments)
            report.note(
                "event", event.id, f"{event.type} was never delivered; it is {state} now",
                is_settled=state != "failed",
            )  # fmt: skip


def _counts(report: Reconciliation, event: ListedEvent, instance: str) -> bool:
    """Whether an event is ours to process and is not in the inbox."""
    report.checked["events"] += 1
    if event.type not in HANDLERS:
        return False
    metadata = json.loads(event.body).get("data", {}).get("object", {}).get("metadata") or {}
    if metadata.get("coffer_instance", instance) != instance:
        return False
    known = db.session.scalar(select(InboxEvent.id).where(InboxEvent.stripe_event_id == event.id))
    return known is None


def _compare_sessions(report: Reconciliation, payments: Payments) -> None:
    """Checkouts that were paid: each must be a settled payment of ours."""
    instance = instance_id()
    for session in payments.sessions_since(report.since):
        if session.instance == instance and session.mode == "payment" and session.is_paid:
            report.checked["checkouts"] += 1
            if not _is_settled(session):
                _fulfil(report, session, payments)


def _is_settled(session: CheckoutSession) -> bool:
    found = db.session.scalar(select(Payment.status).where(Payment.stripe_session_id == session.id))
    return found in SETTLED


def _fulfil(report: Reconciliation, session: CheckoutSession, payments: Payments) -> None:
    try:
        outcome = fulfil_checkout(session.id, ACTOR, payments)
    except CofferError as refusal:
        report.note("checkout", session.id, f"was paid but cannot be credited: {refusal}", is_settled=False)
        return
    if outcome == "paid":
        report.note("checkout", session.id, "was paid but not credited; it is credited now", is_settled=True)


def _compare_refunds(report: Reconciliation, payments: Payments) -> None:
    """Refunds: what the provider has given back of a charge must be what we have recorded."""
    charges = {refund.charge_id for refund in payments.refunds_since(report.since) if refund.charge_id}
    for charge_id in sorted(charges):
        report.checked["refunded charges"] += 1
        try:
            charge = payments.charge(charge_id)
            row = db.session.scalar(
                select(Payment).where(Payment.stripe_payment_intent_id == charge.payment_intent_id)
            )
            if row is None or row.refunded_cents == charge.refunded_cents:
                continue
            apply_refunds(charge_id, ACTOR, payments)
        except (CofferError, UnknownToProvider) as refusal:
            report.note("refund", charge_id, f"cannot be recorded: {refusal}", is_settled=False)
        else:
            report.note("refund", charge_id, "was given back but not recorded; it is now", is_settled=True)


def _compare_payments(report: Reconciliation, payments: Payments) -> None:
    """Credited Checkouts of ours that the provider does not know, or does not call paid."""
    rows = db.session.execute(
        select(Payment.public_id, Payment.stripe_session_id).where(
            Payment.stripe_session_id.is_not(None),
            Payment.status.in_(SETTLED),
            Payment.paid_at >= report.since,
        )
    ).all()
    for public_id, session_id in rows:
        report.checked["payments"] += 1
        try:
            is_paid = payments.checkout_session(session_id).is_paid
        except UnknownToProvider:
            report.note("payment", public_id, f"{session_id} is not known to the provider", is_settled=False)
            continue
        if not is_paid:
            report.note("payment", public_id, f"{session_id} is credited but not paid", is_settled=False)


def _compare_subscriptions(report: Reconciliation, payments: Payments) -> None:
    """Subscriptions that run: our rows follow them, and changes that were agreed to are known there."""
    rows = db.session.execute(
        select(Subscription.id, Subscription.stripe_subscription_id, Subscription.public_id).where(
            Subscription.ended_at.is_(None), Subscription.stripe_subscription_id.is_not(None)
        )
    ).all()
    for row_id, stripe_id, public_id in rows:
        report.checked["subscriptions"] += 1
        before = _paid_invoices(row_id)
        try:
            follow_subscription(stripe_id, ACTOR, payments)
            settle_pending(row_id, payments, f"{public_id}-reconcile-{report.made_at:%Y%m%d}")
        except (CofferError, UnknownToProvider) as refusal:
            report.note("subscription", public_id, f"cannot be compared: {refusal}", is_settled=False)
            continue
        missed = _paid_invoices(row_id) - before
        if missed:
            report.note("subscription", public_id, f"{missed} paid invoices were not recorded; they are now",
                        is_settled=True)  # fmt: skip


def _compare_charges(report: Reconciliation, payments: Payments) -> None:
    """Invoices of charges: one that was paid is recorded; one of a charge that is not here waits for an operator."""
    instance = instance_id()
    for invoice in payments.invoices_since(report.since):
        if invoice.charge_id is None or invoice.instance != instance:
            continue
        report.checked["charges"] += 1
        charge = db.session.scalar(
            select(Charge)
            .where(Charge.public_id == invoice.charge_id)
            .execution_options(populate_existing=True)
        )
        if charge is None:
            if invoice.status == "paid":
                words = f"{invoice.id} was paid for a charge that is not in this database"
                report.note("charge", invoice.charge_id, words, is_settled=False)
        elif charge.status in OPEN_CHARGES and invoice.status == "paid":
            follow_charge(payments.invoice(invoice.id), ACTOR)
            report.note("charge", charge.public_id, "was paid but not recorded; it is now", is_settled=True)
        elif charge.status == "charged" and invoice.status != "paid":
            report.note(
                "charge", charge.public_id, f"is recorded as paid; {invoice.id} is not", is_settled=False
            )


def _paid_invoices(subscription_id: int) -> int:
    counted = select(func.count(Payment.id)).where(
        Payment.subscription_id == subscription_id, Payment.paid_at.is_not(None)
    )
    return db.session.scalar(counted) or 0


def _list_flagged(report: Reconciliation) -> None:
    rows = db.session.execute(select(Order.public_id, Order.flag).where(Order.flag.is_not(None)))
    for public_id, flag in rows:
        report.note("order", public_id, flag, is_settled=False)


def _document(report: Reconciliation) -> str:
    kept = sorted(report.findings, key=lambda finding: finding.is_settled)[:FINDINGS_KEPT]
    return json.dumps(
        {
            "made_at": iso(report.made_at),
            "since": iso(report.since),
            "checked": report.checked,
            "findings": [dataclasses.asdict(finding) for finding in kept],
        }
    )

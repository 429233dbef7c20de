"""Subscriptions paid through Stripe, as they are there now: the row, its payments, its credits.

Every event leads here with an id alone. The objects are fetched anew, invoices recorded in the order in which
they were made, each once; so events that come twice, late or in any order leave the same state.
Source: docs/subscriptions.md.
"""

import logging
import secrets
from datetime import datetime

from sqlalchemy import select

from errors import Conflict, NotFound, PaymentProviderUnavailable
from extensions import db
from gateways.payments import Payments, UnknownToProvider
from gateways.subscriptions import CardFacts, InvoiceFacts, PriceFacts, SubscriptionFacts
from models.accounts import Account
from models.billing import Order, Payment, SavedCard, Subscription
from models.catalog import Plan
from services.billing.environment import instance_id
from services.billing.invoice_credits import (
    billed_line,
    grant_for_invoice,
    make_up_missed_months,
    payment_of_invoice,
    plan_of_price,
    takes_effect,
)
from services.billing.standing import settle_standing
from services.catalog.entitlements import open_subscription
from services.clock import business_now, iso, wall_now
from services.ledger.opening import lock_accounts
from services.notices.notices import notify
from services.unit_of_work import atomic

logger = logging.getLogger("coffer.billing")
# A subscription is read anew so often where it changes while it is read.
READINGS = 5
SETTLED = ("paid", "refunded", "partially_refunded", "disputed")
OVER = ("canceled", "incomplete_expired")
STATUSES = {"active": "active", "trialing": "trialing", "past_due": "past_due", "unpaid": "past_due",
            "incomplete": "incomplete"}  # fmt: skip


def follow_subscription(subscription_id: str, actor: str, payments: Payments) -> bool:
    """Make our row what the subscription is now, and record every paid invoice of it. Whether it is ours.

    Idempotent; one unit. What was read before somebody else's reading was taken over is read again, so that
    an answer that was long under way never undoes a newer one. Raises NotFound, Conflict where its account or
    plan is not in this database, PaymentProviderUnavailable.
    """
    for _ in range(READINGS):
        known = _reading_of(subscription_id)
        with payments.patience():
            facts = _subscription(subscription_id, payments)
            if facts.instance != instance_id():
                return False
            invoices = payments.invoices_of(subscription_id)
            prices = _prices(facts, invoices, payments)
        if _take_in(facts, invoices, prices, known, actor):
            return True
    raise PaymentProviderUnavailable(
        "This subscription changes all the time; try again.", retry_after_seconds=5
    )


@atomic
def _take_in(
    facts: SubscriptionFacts, invoices: list[InvoiceFacts], prices: dict[str, PriceFacts], known: int | None,
    actor: str,
) -> bool:  # fmt: skip
    """Take a reading over, whole; False where another one was taken over since it was begun."""
    account_id = _account_of(facts)
    lock_accounts(account_id)
    if _reading_of(facts.id) != known:
        return False
    row = _row_of(facts.id)
    anchors = [*([row.anchor_at] if row else []), facts.anchor_at]
    _mirror(account_id, row, facts, bool(invoices), actor)
    for number, invoice in enumerate(invoices):
        _record(invoice, invoices[:number], facts, anchors, prices, actor)
    _settle_order(facts, invoices)
    return True


def _reading_of(subscription_id: str) -> int | None:
    return db.session.scalar(
        select(Subscription.readings).where(Subscription.stripe_subscription_id == subscription_id)
    )


def follow_invoice(invoice_id: str, actor: str, payments: Payments) -> bool:
    """Record an invoice as it is now: paid, refused, waiting for its payer, void. Whether it is ours.

    Idempotent; see ``follow_subscription``.
    """
    try:
        invoice = payments.invoice(invoice_id)
    except UnknownToProvider:
        raise NotFound("The payment provider knows no such invoice.") from None
    if invoice.subscription_id is None:
        return False
    if not follow_subscription(invoice.subscription_id, actor, payments):
        return False
    if invoice.status != "paid":
        _note_unpaid(invoice)
    return True


def _subscription(subscription_id: str, payments: Payments) -> SubscriptionFacts:
    try:
        return payments.subscription(subscription_id)
    except UnknownToProvider:
        raise NotFound("The payment provider knows no such subscription.") from None


def _prices(
    facts: SubscriptionFacts, invoices: list[InvoiceFacts], payments: Payments
) -> dict[str, PriceFacts]:
    """Every price that the subscription has or was billed at; what each stood for is written on it."""
    prices = {facts.price.id: facts.price}
    for line in (line for invoice in invoices for line in invoice.lines):
        if line.price_id not in prices:
            prices[line.price_id] = payments.price(line.price_id)
    return prices


def _account_of(facts: SubscriptionFacts) -> int:
    found = db.session.scalar(select(Account.id).where(Account.public_id == facts.account))
    if found is None:
        raise Conflict(f"Subscription {facts.id} is of account {facts.account}, which is not here.")
    return found


def _mirror(
    account_id: int, row: Subscription | None, facts: SubscriptionFacts, is_paid: bool, actor: str
) -> None:
    before = row.plan.name if row is not None else ""
    if row is None:
        row = _begun(facts, account_id, is_paid, plan_of_price(facts.price), actor)
        if row is None:
            return
    row.readings += 1
    if row.ended_at is not None:
        return
    _take_over(row, facts, plan_of_price(facts.price))
    _tell(row, before)
    if facts.card is not None:
        keep_card(account_id, facts.card)
    db.session.flush()
    settle_standing(account_id)


def _row_of(stripe_id: str) -> Subscription | None:
    return db.session.scalar(
        select(Subscription)
        .where(Subscription.stripe_subscription_id == stripe_id)
        .execution_options(populate_existing=True)
    )


def _begun(
    facts: SubscriptionFacts, account_id: int, is_paid: bool, plan: Plan, actor: str
) -> Subscription | None:
    """The row of a subscription that is new here; None where it never began, or another one is running.

    One that was over before anything was heard of it has been paid for all the same.
    """
    is_over = facts.status in OVER
    if facts.status == "incomplete" or (is_over and not (is_paid and facts.ended_at)):
        return None
    current = open_subscription(account_id)
    if current is not None and current.stripe_subscription_id is not None:
        _flag_second(facts, current)
        return None
    if current is not None and not is_over:  # given until now; from here on it is paid for
        current.status, current.ended_at = "canceled", max(facts.started_at, current.started_at)
        db.session.flush()
    row = Subscription(
        public_id=secrets.token_hex(12), account_id=account_id, plan_id=plan.id, readings=0,
        status="canceled" if is_over else "active", interval=facts.price.interval or "month", actor=actor,
        stripe_subscription_id=facts.id, started_at=facts.started_at, anchor_at=facts.anchor_at,
        current_period_start=facts.period_start, current_period_end=facts.period_end,
        ended_at=facts.ended_at if is_over else None,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    return row


def _flag_second(facts: SubscriptionFacts, current: Subscription) -> None:
    """Two were paid for at once: the second brings nothing and waits for an operator."""
    order = db.session.scalar(select(Order).where(Order.public_id == facts.order_id))
    reason = (
        f"Subscription {facts.id} was begun while {current.stripe_subscription_id} was running; refund it."
    )
    logger.error("Account %s: %s", current.account_id, reason)
    if order is not None:
        order.status, order.flag = "flagged", reason


def _take_over(row: Subscription, facts: SubscriptionFacts, told: Plan) -> None:
    """What the provider says now; a downgrade that waits for the period's end keeps its plan till then."""
    interval, has_moved = facts.price.interval or "month", facts.period_start > row.current_period_start
    waits = _waits(row, told, interval)
    if has_moved or not waits:
        if has_moved or (row.plan_id, row.interval) != (told.id, interval):
            row.pending_plan_id, row.pending_interval = None, None
        row.plan_id, row.interval = told.id, interval
    goes_on_otherwise = (
        row.status == "active" and row.cancel_at_period_end and row.pending_interval != row.interval
    )
    row.current_period_start, row.current_period_end = facts.period_start, facts.period_end
    row.anchor_at, row.cancel_at_period_end = facts.anchor_at, facts.cancel_at_period_end
    row.status = STATUSES.get(facts.status, "canceled")
    if facts.status in OVER:
        row.ended_at, row.past_due_since = facts.ended_at or business_now(), None
        if not goes_on_otherwise:
            row.pending_plan_id, row.pending_interval = None, None
    elif row.status == "past_due":
        row.past_due_since = row.past_due_since or business_now()
    else:
        row.past_due_since = None


def _waits(row: Subscription, told: Plan, interval: str) -> bool:
    """Whether the provider names a plan for later: the pending one, or one that it was to replace."""
    if row.pending_plan_id is None or row.pending_interval != interval:
        return False
    is_smaller = (told.monthly_price_cents or 0) < (row.plan.monthly_price_cents or 0)
    return row.pending_plan_id == told.id or (row.interval == interval and is_smaller)


def _tell(row: Subscription, before: str) -> None:
    """Tell of a plan that began, changed or ended."""
    db.session.flush()
    db.session.refresh(row)
    now = "" if row.ended_at is not None else row.plan.name
    if now != before:
        key = f"plan:{row.public_id}:{row.plan_id if now else 'ended'}:{iso(row.current_period_start)}"
        notify(row.account_id, "plan_changed", key, before=before, now=now)


def keep_card(account_id: int, card: CardFacts, *, consented_by: str | None = None) -> None:
    """Note the card that an account is charged with, inside the caller's unit and lock."""
    kept = db.session.get(SavedCard, account_id)
    if kept is None:
        kept = SavedCard(account_id=account_id)
        db.session.add(kept)
    if consented_by is not None:
        kept.consented_at, kept.consented_by = wall_now(), consented_by
    kept.stripe_payment_method_id = card.payment_method_id
    kept.brand, kept.last4 = card.brand, card.last4
    kept.exp_month, kept.exp_year, kept.updated_at = card.exp_month, card.exp_year, wall_now()


def _record(
    invoice: InvoiceFacts, earlier: list[InvoiceFacts], facts: SubscriptionFacts, anchors: list[datetime],
    prices: dict[str, PriceFacts], actor: str,
) -> None:  # fmt: skip
    """A paid invoice: its payment and its credits, once; before them the months that it puts an end to."""
    row, payment = _row_of(facts.id), payment_of_invoice(invoice)
    if row is None or (payment is not None and payment.status in SETTLED):
        return
    billed = billed_line(invoice)
    payment = payment or _new_payment(invoice, row)
    now = business_now()
    payment.status, payment.failure, payment.paid_at = "paid", None, now
    payment.plan_id = plan_of_price(prices[billed.price_id]).id if billed else row.plan_id
    payment.stripe_payment_intent_id = invoice.payment_intent_id
    payment.amount_cents, payment.tax_cents = invoice.paid_cents, min(invoice.tax_cents, invoice.paid_cents)
    payment.period_start = billed.starts_at if billed else None
    payment.period_end = billed.ends_at if billed else None
    payment.invoice_url, payment.hosted_invoice_url = invoice.invoice_pdf, invoice.hosted_invoice_url
    payment.description = _words(invoice, payment.plan_id)
    db.session.flush()
    make_up_missed_months(row, earlier, takes_effect(invoice), anchors, prices, actor)
    grant_for_invoice(row, invoice, prices, facts, actor, payment.id)


def _words(invoice: InvoiceFacts, plan_id: int | None) -> str:
    plan = db.session.get_one(Plan, plan_id)
    return f"{plan.name}: change of plan" if invoice.reason == "subscription_update" else f"{plan.name}"


def _new_payment(invoice: InvoiceFacts, row: Subscription) -> Payment:
    payment = Payment(
        public_id=secrets.token_hex(12), account_id=row.account_id, kind="subscription", plan_id=row.plan_id,
        subscription_id=row.id, stripe_invoice_id=invoice.id, description=row.plan.name,
        amount_cents=max(invoice.total_cents, 0), currency=invoice.currency, status="pending",
        created_at=business_now(),
    )  # fmt: skip
    db.session.add(payment)
    return payment


def _settle_order(facts: SubscriptionFacts, invoices: list[InvoiceFacts]) -> None:
    """The order that began the subscription is paid, by its first invoice."""
    order = db.session.scalar(select(Order).where(Order.public_id == facts.order_id))
    if order is None or order.status in ("paid", "flagged") or not invoices:
        return
    payment = payment_of_invoice(invoices[0])
    if payment is None:
        return
    payment.order_id = order.id
    order.status, order.closed_at, order.flag = "paid", business_now(), None


@atomic
def _note_unpaid(invoice: InvoiceFacts) -> None:
    """An invoice that is not paid: under way, refused, or asked of nobody any more."""
    row = _row_of(invoice.subscription_id or "")
    if row is None:
        return
    lock_accounts(row.account_id)
    payment = payment_of_invoice(invoice)
    if payment is not None and payment.status in SETTLED:
        return
    is_asked = invoice.status in ("open", "uncollectible") and (invoice.failure or invoice.needs_action)
    if payment is None and not is_asked:
        return
    payment = payment or _new_payment(invoice, row)
    payment.status = "failed"
    words = invoice.failure or "Your bank asks you to confirm this payment."
    payment.failure = words[:500] if is_asked else "It was cancelled; nothing is owed for it."
    payment.hosted_invoice_url = invoice.hosted_invoice_url if is_asked else None
    payment.stripe_payment_intent_id = invoice.payment_intent_id
    if is_asked:
        notify(
            row.account_id, "card_needs_confirmation" if invoice.needs_action else "payment_failed",
            f"invoice:{invoice.id}", what=payment.description, amount_cents=payment.amount_cents,
            currency=payment.currency, reason=words[:200], url=invoice.hosted_invoice_url,
        )  # fmt: skip

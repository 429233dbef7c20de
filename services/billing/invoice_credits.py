"""The credits that a subscription's paid invoice brings, and the months before it that the job has missed.

Source: docs/subscriptions.md, credits.
"""

from datetime import datetime

from sqlalchemy import select

from errors import Conflict
from extensions import db
from gateways.subscriptions import InvoiceFacts, InvoiceLine, PriceFacts, SubscriptionFacts
from models.billing import Payment, Subscription
from models.catalog import Catalog, Plan
from services.billing.period_credits import Month, grant_month, grant_upgrade, granted_month
from services.billing.subscriptions import PROVIDER_ZONE
from services.periods import month_index, months_after


def plan_of_price(price: PriceFacts) -> Plan:
    """The plan that a price is of. Raises Conflict where this database does not have it."""
    plan = db.session.scalar(
        select(Plan)
        .join(Catalog, Catalog.id == Plan.catalog_id)
        .where(Plan.code == price.plan, Catalog.code == price.catalog)
    )
    if plan is None:
        raise Conflict(f"Price {price.id} is of plan {price.plan} of {price.catalog}, which is not here.")
    return plan


def payment_of_invoice(invoice: InvoiceFacts) -> Payment | None:
    """The payment of an invoice, where there is one yet."""
    return db.session.scalar(select(Payment).where(Payment.stripe_invoice_id == invoice.id))


def takes_effect(invoice: InvoiceFacts) -> datetime | None:
    """When what an invoice bills begins; None of one without lines."""
    return min((line.starts_at for line in invoice.lines), default=None)


def make_up_missed_months(
    row: Subscription, earlier: list[InvoiceFacts], until: datetime | None, anchors: list[datetime],
    prices: dict[str, PriceFacts], actor: str,
) -> None:  # fmt: skip
    """Grant the months of a paid year that the job has missed, at the plan they were of, up to what comes next.

    ``anchors``: the one that months were counted from until now, and the one from here on.
    """
    paid_by = next((invoice for invoice in reversed(earlier) if billed_line(invoice)), None)
    year = billed_line(paid_by) if paid_by else None
    if paid_by is None or year is None or until is None:
        return
    payment = payment_of_invoice(paid_by)
    if payment is None or payment.status == "refunded":
        return
    last = next((line for line in reversed(earlier[-1].lines) if line.amount_cents >= 0), year)
    plan = plan_of_price(prices[last.price_id])
    anchor = next((moment for moment in anchors if moment <= year.starts_at), year.starts_at)
    number = month_index(anchor, year.starts_at, PROVIDER_ZONE) + 1
    while (month := _month_at_number(anchor, number)).starts_at < min(until, year.ends_at):
        grant_month(row, plan, month, actor)
        number += 1


def billed_line(invoice: InvoiceFacts) -> InvoiceLine | None:
    """The line that bills a whole period; None of an invoice of prorations alone."""
    return next((line for line in invoice.lines if not line.is_proration), None)


def grant_for_invoice(
    row: Subscription, invoice: InvoiceFacts, prices: dict[str, PriceFacts], facts: SubscriptionFacts,
    actor: str, payment_id: int,
) -> None:  # fmt: skip
    """Grant what a paid invoice brings, inside the caller's unit and lock: a month, or an upgrade's share. Once."""
    billed = billed_line(invoice)
    unused = next((line for line in invoice.lines if line.is_proration and line.amount_cents <= 0), None)
    added = next((line for line in invoice.lines if line.is_proration and line.amount_cents > 0), None)
    if billed is not None:
        new, month = plan_of_price(prices[billed.price_id]), _month_from(billed)
        amount = new.credits_per_month
        if invoice.reason == "subscription_update" and unused is not None:
            old, before = plan_of_price(prices[unused.price_id]), granted_month(row.id, unused.starts_at)
            amount -= before.left_of(old.credits_per_month, unused.starts_at) if before else 0
        grant_month(row, new, month, actor, amount=amount, payment_id=payment_id)
    elif unused is not None and added is not None:
        old, new = plan_of_price(prices[unused.price_id]), plan_of_price(prices[added.price_id])
        month = granted_month(row.id, added.starts_at) or _month_at(facts, added)
        grant_upgrade(row, old, new, month, added.starts_at, actor, payment_id)


def _month_from(line: InvoiceLine) -> Month:
    """The first month of a billed period; a monthly period is one."""
    return Month(line.starts_at, min(line.ends_at, months_after(line.starts_at, 1, PROVIDER_ZONE)))


def _month_at(facts: SubscriptionFacts, line: InvoiceLine) -> Month:
    """The month, counted from the anchor, in which a proration begins."""
    number = month_index(facts.anchor_at, max(line.starts_at, facts.anchor_at), PROVIDER_ZONE)
    return _month_at_number(facts.anchor_at, number)


def _month_at_number(anchor_at: datetime, number: int) -> Month:
    return Month(
        months_after(anchor_at, number, PROVIDER_ZONE), months_after(anchor_at, number + 1, PROVIDER_ZONE)
    )

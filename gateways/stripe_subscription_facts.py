"""Stripe's subscriptions, invoices and cards as our facts. Older shapes of an invoice are read too."""

from datetime import UTC, datetime
from typing import Any

from gateways.stripe_facts import id_of, number, part, plain, text
from gateways.subscriptions import (
    CardFacts,
    InvoiceFacts,
    InvoiceLine,
    PreviewFacts,
    PriceFacts,
    SubscriptionFacts,
)

FAILED_INTENTS = ("requires_payment_method", "canceled")


def price_facts(item: Any) -> PriceFacts:
    """A price."""
    price = plain(item)
    metadata = part(price, "metadata")
    return PriceFacts(
        id=str(price["id"]),
        product_id=id_of(price, "product") or "",
        catalog=text(metadata, "catalog"),
        plan=text(metadata, "plan"),
        instance=text(metadata, "coffer_instance"),
        interval=text(part(price, "recurring"), "interval"),
        amount_cents=number(price, "unit_amount"),
        currency=text(price, "currency") or "",
        is_active=price.get("active") is True,
        lookup_key=text(price, "lookup_key"),
    )


def card_facts(item: Any) -> CardFacts | None:
    """A payment method, where it is a card and came whole."""
    method = plain(item) if item is not None and not isinstance(item, str) else {}
    card = part(method, "card")
    if not card:
        return None
    return CardFacts(
        payment_method_id=str(method["id"]),
        brand=text(card, "brand") or "card",
        last4=text(card, "last4") or "",
        exp_month=number(card, "exp_month", missing=1),
        exp_year=number(card, "exp_year", missing=1970),
    )


def subscription_facts(item: Any) -> SubscriptionFacts:
    """A subscription; the period stands on its item since 2025, on the subscription itself before."""
    subscription = plain(item)
    metadata = part(subscription, "metadata")
    entry = part(subscription, "items")["data"][0]
    return SubscriptionFacts(
        id=str(subscription["id"]),
        status=text(subscription, "status") or "",
        customer_id=id_of(subscription, "customer"),
        instance=text(metadata, "coffer_instance"),
        account=text(metadata, "account"),
        order_id=text(metadata, "order"),
        item_id=str(entry["id"]),
        price=price_facts(entry["price"]),
        period_start=_moment(entry.get("current_period_start") or subscription["current_period_start"]),
        period_end=_moment(entry.get("current_period_end") or subscription["current_period_end"]),
        anchor_at=_moment(subscription["billing_cycle_anchor"]),
        started_at=_moment(subscription["start_date"]),
        ended_at=_moment(subscription["ended_at"]) if subscription.get("ended_at") else None,
        cancel_at_period_end=subscription.get("cancel_at_period_end") is True,
        has_pending_update=bool(subscription.get("pending_update")),
        latest_invoice_id=id_of(subscription, "latest_invoice"),
        card=card_facts(subscription.get("default_payment_method")),
    )


def invoice_facts(item: Any, intent: Any = None) -> InvoiceFacts:
    """An invoice. ``intent``: its payment intent, where it came along."""
    invoice = plain(item)
    details = part(part(invoice, "parent"), "subscription_details")
    metadata = part(details, "metadata") or part(invoice, "metadata")
    payment = plain(intent) if intent is not None else {}
    error = part(payment, "last_payment_error")
    taxes = invoice.get("total_taxes") or invoice.get("total_tax_amounts") or []
    return InvoiceFacts(
        id=str(invoice["id"]),
        status=text(invoice, "status") or "",
        customer_id=id_of(invoice, "customer"),
        subscription_id=id_of(details, "subscription") or id_of(invoice, "subscription"),
        instance=text(metadata, "coffer_instance"),
        charge_id=text(part(invoice, "metadata"), "charge"),
        reason=text(invoice, "billing_reason") or "",
        number=text(invoice, "number"),
        lines=_lines(invoice),
        total_cents=number(invoice, "total"),
        tax_cents=sum(number(tax, "amount", missing=0) for tax in taxes),
        paid_cents=number(invoice, "amount_paid", missing=0),
        currency=text(invoice, "currency") or "",
        payment_intent_id=text(payment, "id"),
        needs_action=text(payment, "status") == "requires_action"
        or text(error, "code") == "authentication_required",
        failure=text(error, "message") if text(payment, "status") in FAILED_INTENTS else None,
        invoice_pdf=text(invoice, "invoice_pdf"),
        hosted_invoice_url=text(invoice, "hosted_invoice_url"),
    )


def preview_facts(item: Any) -> PreviewFacts:
    """An invoice that is not made."""
    invoice = plain(item)
    lines = part(invoice, "lines").get("data", [])
    return PreviewFacts(
        amount_due_cents=number(invoice, "amount_due", missing=0),
        currency=text(invoice, "currency") or "",
        lines=tuple((text(line, "description") or "", number(line, "amount", missing=0)) for line in lines),
    )


def intent_of_invoice(invoice: dict[str, Any]) -> Any:
    """The payment intent of an invoice whose payments were expanded; older versions name it themselves."""
    for entry in part(invoice, "payments").get("data", []):
        found = part(entry, "payment").get("payment_intent")
        if found:
            return found
    return invoice.get("payment_intent")


def _lines(invoice: dict[str, Any]) -> tuple[InvoiceLine, ...]:
    """The lines that bill a subscription."""
    found = []
    for line in part(invoice, "lines").get("data", []):
        details = part(part(line, "parent"), "subscription_item_details")
        if not details and line.get("type") != "subscription" and line.get("proration") is not True:
            continue
        pricing = part(part(line, "pricing"), "price_details")
        period = part(line, "period")
        found.append(
            InvoiceLine(
                price_id=id_of(pricing, "price") or id_of(line, "price") or "",
                amount_cents=number(line, "amount", missing=0),
                is_proration=details.get("proration", line.get("proration")) is True,
                starts_at=_moment(period["start"]),
                ends_at=_moment(period["end"]),
            )
        )
    return tuple(found)


def _moment(seconds: Any) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)

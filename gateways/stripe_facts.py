"""Stripe's objects as our facts. What is missing or of another type is read as not there, never trusted."""

import json
from typing import Any

from gateways.payments import (
    ChargeFacts,
    CheckoutSession,
    DisputeFacts,
    IntentFacts,
    ListedEvent,
    RefundFacts,
)

DISPUTES_OVER = {"won": "won", "warning_closed": "won", "prevented": "won", "lost": "lost"}


def plain(item: Any) -> dict[str, Any]:
    """An object of Stripe's library, which is no dict, as one."""
    return item if isinstance(item, dict) else item.to_dict()


def session_facts(item: Any) -> CheckoutSession:
    """A Checkout Session."""
    session = plain(item)
    metadata = part(session, "metadata")
    totals = part(session, "total_details")
    return CheckoutSession(
        id=str(session["id"]),
        url=text(session, "url"),
        mode=text(session, "mode") or "",
        status=text(session, "status") or "",
        is_paid=session.get("payment_status") == "paid",
        is_live=session.get("livemode") is True,
        order_id=text(metadata, "order") or text(session, "client_reference_id"),
        instance=text(metadata, "coffer_instance"),
        account_id=text(metadata, "account"),
        subtotal_cents=number(session, "amount_subtotal"),
        discount_cents=number(totals, "amount_discount", missing=0),
        total_cents=number(session, "amount_total"),
        currency=text(session, "currency") or "",
        payment_intent_id=id_of(session, "payment_intent"),
        invoice_url=_invoice_url(session.get("invoice")),
        invoice_id=id_of(session, "invoice"),
        subscription_id=id_of(session, "subscription"),
        setup_intent_id=id_of(session, "setup_intent"),
    )


def intent_facts(item: Any) -> IntentFacts:
    """A payment intent."""
    intent = plain(item)
    metadata = part(intent, "metadata")
    status = text(intent, "status") or ""
    failure = text(part(intent, "last_payment_error"), "message")
    if status == "canceled":
        failure = failure or "The payment was cancelled."
    return IntentFacts(
        id=str(intent["id"]),
        status=status,
        instance=text(metadata, "coffer_instance"),
        order_id=text(metadata, "order"),
        failure=failure if status in ("requires_payment_method", "canceled") else None,
        charge_id=id_of(intent, "latest_charge"),
        amount_cents=number(intent, "amount_received"),
        currency=text(intent, "currency") or "",
        customer_id=id_of(intent, "customer"),
        account=text(metadata, "account"),
        is_live=intent.get("livemode") is True,
    )


def charge_facts(item: Any) -> ChargeFacts:
    """A charge."""
    charge = plain(item)
    return ChargeFacts(
        id=str(charge["id"]),
        payment_intent_id=id_of(charge, "payment_intent"),
        is_paid=charge.get("paid") is True,
        amount_cents=number(charge, "amount"),
        refunded_cents=number(charge, "amount_refunded"),
    )


def dispute_facts(item: Any) -> DisputeFacts:
    """A dispute."""
    dispute = plain(item)
    told = text(dispute, "status") or ""
    return DisputeFacts(
        id=str(dispute["id"]),
        charge_id=id_of(dispute, "charge"),
        status=DISPUTES_OVER.get(told) or ("inquiry" if told.startswith("warning_") else "open"),
        amount_cents=number(dispute, "amount", missing=0),
        reason=text(dispute, "reason") or "",
    )


def refund_facts(item: Any) -> RefundFacts:
    """A refund."""
    refund = plain(item)
    return RefundFacts(
        id=str(refund["id"]),
        charge_id=id_of(refund, "charge"),
        failure=(
            text(refund, "failure_reason") or "failed"
            if refund.get("status") in ("failed", "canceled")
            else None
        ),
    )


def event_facts(item: Any) -> ListedEvent:
    """An event of a list."""
    event = plain(item)
    return ListedEvent(
        id=str(event["id"]),
        type=text(event, "type") or "",
        object_id=text(part(part(event, "data"), "object"), "id") or "",
        body=json.dumps(event, default=str),
    )


def _invoice_url(invoice: Any) -> str | None:
    if not isinstance(invoice, dict):
        return None
    return text(invoice, "invoice_pdf") or text(invoice, "hosted_invoice_url")


def part(item: dict[str, Any], name: str) -> dict[str, Any]:
    """A member that is an object; empty where it is none."""
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def text(item: dict[str, Any], name: str) -> str | None:
    """A member that is text and not empty."""
    value = item.get(name)
    return value if isinstance(value, str) and value else None


def number(item: dict[str, Any], name: str, missing: int = -1) -> int:
    """An amount in minor units; where there is none, one that equals no price."""
    value = item.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else missing


def id_of(item: dict[str, Any], name: str) -> str | None:
    """An id, whether the object came expanded or not."""
    value = item.get(name)
    return text(value, "id") if isinstance(value, dict) else text(item, name)

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
    metadata = _part(session, "metadata")
    totals = _part(session, "total_details")
    return CheckoutSession(
        id=str(session["id"]),
        url=_text(session, "url"),
        mode=_text(session, "mode") or "",
        status=_text(session, "status") or "",
        is_paid=session.get("payment_status") == "paid",
        is_live=session.get("livemode") is True,
        order_id=_text(metadata, "order") or _text(session, "client_reference_id"),
        instance=_text(metadata, "coffer_instance"),
        account_id=_text(metadata, "account"),
        subtotal_cents=_number(session, "amount_subtotal"),
        discount_cents=_number(totals, "amount_discount", missing=0),
        total_cents=_number(session, "amount_total"),
        currency=_text(session, "currency") or "",
        payment_intent_id=_id(session, "payment_intent"),
        invoice_url=_invoice_url(session.get("invoice")),
    )


def intent_facts(item: Any) -> IntentFacts:
    """A payment intent."""
    intent = plain(item)
    metadata = _part(intent, "metadata")
    status = _text(intent, "status") or ""
    failure = _text(_part(intent, "last_payment_error"), "message")
    if status == "canceled":
        failure = failure or "The payment was cancelled."
    return IntentFacts(
        id=str(intent["id"]),
        status=status,
        instance=_text(metadata, "coffer_instance"),
        order_id=_text(metadata, "order"),
        failure=failure if status in ("requires_payment_method", "canceled") else None,
        charge_id=_id(intent, "latest_charge"),
        amount_cents=_number(intent, "amount_received"),
        currency=_text(intent, "currency") or "",
        customer_id=_id(intent, "customer"),
        account=_text(metadata, "account"),
        is_live=intent.get("livemode") is True,
    )


def charge_facts(item: Any) -> ChargeFacts:
    """A charge."""
    charge = plain(item)
    return ChargeFacts(
        id=str(charge["id"]),
        payment_intent_id=_id(charge, "payment_intent"),
        is_paid=charge.get("paid") is True,
        amount_cents=_number(charge, "amount"),
        refunded_cents=_number(charge, "amount_refunded"),
    )


def dispute_facts(item: Any) -> DisputeFacts:
    """A dispute."""
    dispute = plain(item)
    told = _text(dispute, "status") or ""
    return DisputeFacts(
        id=str(dispute["id"]),
        charge_id=_id(dispute, "charge"),
        status=DISPUTES_OVER.get(told) or ("inquiry" if told.startswith("warning_") else "open"),
        amount_cents=_number(dispute, "amount", missing=0),
        reason=_text(dispute, "reason") or "",
    )


def refund_facts(item: Any) -> RefundFacts:
    """A refund."""
    refund = plain(item)
    return RefundFacts(
        id=str(refund["id"]),
        charge_id=_id(refund, "charge"),
        failure=(
            _text(refund, "failure_reason") or "failed"
            if refund.get("status") in ("failed", "canceled")
            else None
        ),
    )


def event_facts(item: Any) -> ListedEvent:
    """An event of a list."""
    event = plain(item)
    return ListedEvent(
        id=str(event["id"]),
        type=_text(event, "type") or "",
        object_id=_text(_part(_part(event, "data"), "object"), "id") or "",
        body=json.dumps(event, default=str),
    )


def _invoice_url(invoice: Any) -> str | None:
    if not isinstance(invoice, dict):
        return None
    return _text(invoice, "invoice_pdf") or _text(invoice, "hosted_invoice_url")


def _part(item: dict[str, Any], name: str) -> dict[str, Any]:
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def _text(item: dict[str, Any], name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) and value else None


def _number(item: dict[str, Any], name: str, missing: int = -1) -> int:
    """An amount in minor units; where there is none, one that equals no price."""
    value = item.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else missing


def _id(item: dict[str, Any], name: str) -> str | None:
    """An id, whether the object came expanded or not."""
    value = item.get(name)
    return _text(value, "id") if isinstance(value, dict) else _text(item, name)

"""Invoices that a paid Checkout Session leaves, with a page to look at; events; the account."""

import secrets
from typing import Any

from sandbox.parameters import EXPAND, Shape, boolean, list_of, list_shape, string
from sandbox.routing import Call, page, route
from sandbox.store import Object, Store


def new_paid_invoice(store: Store, session: Object) -> Object:
    """The invoice of a paid session."""
    invoice_id = f"in_{secrets.token_hex(12)}"
    total, now = session["amount_total"], store.now()
    number = f"SANDBOX-{secrets.token_hex(3).upper()}-0001"
    address = f"{store.public_base_url}/sandbox/invoices/{invoice_id}"
    lines = [_line(item, invoice_id, now) for item in session["line_items"]["data"]]
    invoice = store.new(
        "invoice", "in", account_country="US", account_name="Sandbox", account_tax_ids=None,
        amount_due=total, amount_overpaid=0, amount_paid=total, amount_remaining=0, amount_shipping=0,
        application=None, attempt_count=1, attempted=True, auto_advance=False,
        automatic_tax={"enabled": False, "disabled_reason": None, "liability": None, "provider": None,
                       "status": None},
        automatically_finalizes_at=None, billing_reason="manual", collection_method="charge_automatically",
        currency=session["currency"], custom_fields=None, customer=session["customer"],
        customer_email=(session["customer_details"] or {}).get("email"), default_payment_method=None,
        default_source=None, default_tax_rates=[], description=None, discounts=[], due_date=None,
        effective_at=now, ending_balance=0, footer=None, from_invoice=None, hosted_invoice_url=address,
        invoice_pdf=f"{address}/pdf", issuer={"type": "self"}, last_finalization_error=None,
        latest_revision=None, metadata={}, next_payment_attempt=None, number=number, on_behalf_of=None,
        lines={"object": "list", "data": lines, "has_more": False, "url": f"/v1/invoices/{invoice_id}/lines"},
        parent=None, payment_settings={"default_mandate": None, "payment_method_options": None,
                                       "payment_method_types": None},
        period_end=now, period_start=now, post_payment_credit_notes_amount=0,
        pre_payment_credit_notes_amount=0, receipt_number=None, rendering=None, shipping_cost=None,
        shipping_details=None, starting_balance=0, statement_descriptor=None, status="paid",
        status_transitions={"finalized_at": now, "marked_uncollectible_at": None, "paid_at": now,
                            "voided_at": None},
        subtotal=total, subtotal_excluding_tax=total, test_clock=None, total=total,
        total_discount_amounts=[], total_excluding_tax=total, total_pretax_credit_amounts=[],
        total_taxes=[], webhooks_delivered_at=now,
    )  # fmt: skip
    invoice["id"] = invoice_id
    store.put(invoice)
    store.tell("invoice.paid", invoice)
    return invoice


def _line(item: Object, invoice_id: str, now: int) -> dict[str, Any]:
    return {
        "id": f"il_{secrets.token_hex(12)}", "object": "line_item", "amount": item["amount_total"],
        "currency": item["currency"], "description": item["description"], "discount_amounts": [],
        "discountable": True, "discounts": [], "invoice": invoice_id, "livemode": False, "metadata": {},
        "parent": None, "period": {"end": now, "start": now}, "pretax_credit_amounts": [],
        "quantity": item["quantity"], "subtotal": item["amount_subtotal"], "taxes": [],
    }  # fmt: skip


@route("GET", "/v1/invoices/ID", Shape(expand=EXPAND))
def retrieve_invoice(call: Call) -> Object:
    return call.store.get("invoice", call.id)


@route("GET", "/v1/invoices", list_shape(customer=string, status=string))
def list_invoices(call: Call) -> Object:
    return page(call, "invoice", lambda item: True, "customer", "status")


@route("GET", "/v1/events/ID", Shape(expand=EXPAND))
def retrieve_event(call: Call) -> Object:
    return call.store.get("event", call.id)


@route("GET", "/v1/events", list_shape(type=string, types=list_of(string), delivery_success=boolean))
def list_events(call: Call) -> Object:
    types = call.given.get("types")
    return page(call, "event", lambda item: not types or item["type"] in types, "type")


@route("GET", "/v1/account", Shape(expand=EXPAND))
def retrieve_account(call: Call) -> Object:
    return {
        "id": "acct_sandbox", "object": "account", "business_type": "company", "charges_enabled": True,
        "country": "US", "created": 0, "default_currency": "usd", "details_submitted": True,
        "email": None, "payouts_enabled": True, "type": "standard", "metadata": {},
    }  # fmt: skip


@route("GET", "/v1/balance", Shape(expand=EXPAND))
def retrieve_balance(call: Call) -> Object:
    funds: dict[str, int] = {}
    for charge in call.store.all("charge"):
        kept = charge["amount_captured"] - charge["amount_refunded"]
        funds[charge["currency"]] = funds.get(charge["currency"], 0) + kept
    rows = [{"amount": amount, "currency": code, "source_types": {}} for code, amount in funds.items()]
    return {"object": "balance", "available": rows, "pending": [], "livemode": False}

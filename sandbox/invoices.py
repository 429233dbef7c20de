"""Invoices that a paid Checkout Session leaves, and which payment belongs to which invoice."""

import secrets
from typing import Any

from sandbox.lists import page, paged, whole
from sandbox.parameters import EXPAND, Shape, identifier, list_shape, one_of, page_shape
from sandbox.rendering import includable
from sandbox.routing import Call, route
from sandbox.shapes import EMPTY_TAX, EMPTY_TIMES
from sandbox.store import Object, Query, Store, random_id


def new_paid_invoice(store: Store, session: Object) -> Object:
    """The invoice of a paid session, with its payment and events."""
    invoice = _invoice(store, session, random_id("in"))
    payment = store.new(
        "invoice_payment", "inpay", amount_paid=invoice["total"], amount_requested=invoice["total"],
        currency=invoice["currency"], invoice=invoice["id"], is_default=True, status="paid",
        payment={"type": "payment_intent", "payment_intent": session["payment_intent"]},
        status_transitions={"canceled_at": None, "paid_at": store.now()},
    )  # fmt: skip
    unpaid = {"amount_paid": 0, "amount_remaining": invoice["total"], "attempted": False, "attempt_count": 0}
    times = invoice["status_transitions"]
    store.tell("invoice.created", invoice | unpaid | {"status": "draft", "status_transitions": EMPTY_TIMES})
    store.tell(
        "invoice.finalized",
        invoice | unpaid | {"status": "open", "status_transitions": times | {"paid_at": None}},
    )
    store.put(invoice)
    store.put(payment)
    store.tell("invoice.paid", invoice)
    store.tell("invoice.payment_succeeded", invoice)
    store.tell("invoice_payment.paid", payment)
    return invoice


def _invoice(store: Store, session: Object, invoice_id: str) -> Object:
    total, now = session["amount_total"], store.now()
    address = f"{store.public_base_url}/sandbox/invoices/{invoice_id}"
    lines = [_line(item, invoice_id, now) for item in session["_lines"]]
    data, details = session["invoice_creation"]["invoice_data"], session["customer_details"] or {}
    customer = store.find("customer", session["customer"]) or {}
    tax = session["total_details"]["amount_tax"]
    invoice = store.new(
        "invoice", "in", account_country="US", account_name=store.seller, account_tax_ids=None,
        amount_due=total, amount_overpaid=0, amount_paid=total, amount_remaining=0, amount_shipping=0,
        application=None, attempt_count=1, attempted=True, auto_advance=False,
        automatic_tax=EMPTY_TAX | {"enabled": session["automatic_tax"]["enabled"],
                                   "status": session["automatic_tax"]["status"]},
        automatically_finalizes_at=None, billing_reason="manual", collection_method="charge_automatically",
        currency=session["currency"], custom_fields=data["custom_fields"], customer=session["customer"],
        customer_address=customer.get("address"), customer_email=details.get("email"),
        customer_name=customer.get("name"), customer_phone=None, customer_shipping=None,
        customer_tax_exempt="none", customer_tax_ids=[], default_payment_method=None, default_source=None,
        default_tax_rates=[], description=data["description"], discounts=[], due_date=None,
        effective_at=now, ending_balance=0, footer=data["footer"], from_invoice=None,
        hosted_invoice_url=address, invoice_pdf=f"{address}/pdf", issuer={"type": "self"},
        last_finalization_error=None, latest_revision=None, lines=whole(lines, f"/v1/invoices/{invoice_id}/lines"),
        metadata=data["metadata"], next_payment_attempt=None, number=_number(), on_behalf_of=None, parent=None,
        payment_settings={"default_mandate": None, "payment_method_options": None,
                          "payment_method_types": None},
        period_end=now, period_start=now, post_payment_credit_notes_amount=0,
        pre_payment_credit_notes_amount=0, receipt_number=None, rendering=None, shipping_cost=None,
        shipping_details=None, starting_balance=0, statement_descriptor=None, status="paid",
        status_transitions=EMPTY_TIMES | {"finalized_at": now, "paid_at": now},
        subtotal=session["amount_subtotal"], subtotal_excluding_tax=total - tax, test_clock=None, total=total,
        total_discount_amounts=[], total_excluding_tax=total - tax, total_pretax_credit_amounts=[],
        total_taxes=[part for line in lines for part in line["taxes"]], webhooks_delivered_at=now,
    )  # fmt: skip
    return invoice | {"id": invoice_id}


def _number() -> str:
    return f"{secrets.token_hex(4).upper()}-0001"


def _line(item: Object, invoice_id: str, now: int) -> dict[str, Any]:
    price, inclusive = item["price"], item["price"]["tax_behavior"] == "inclusive"
    taxes = [{
        "amount": item["amount_tax"], "tax_behavior": "inclusive" if inclusive else "exclusive",
        "tax_rate_details": None, "taxability_reason": "standard_rated", "type": "tax_rate_details",
        "taxable_amount": item["amount_subtotal"] - (item["amount_tax"] if inclusive else 0),
    }]  # fmt: skip
    return {
        "id": random_id("il"), "object": "line_item", "amount": item["amount_subtotal"],
        "currency": item["currency"], "description": item["description"], "discount_amounts": [],
        "discountable": True, "discounts": [], "invoice": invoice_id, "livemode": False,
        "metadata": item["metadata"], "parent": None, "period": {"end": now, "start": now},
        "pretax_credit_amounts": [], "quantity": item["quantity"], "subtotal": item["amount_subtotal"],
        "taxes": taxes if item["amount_tax"] else [],
        "pricing": {"price_details": {"price": price["id"], "product": price["product"]},
                    "type": "price_details", "unit_amount_decimal": price["unit_amount_decimal"]},
    }  # fmt: skip


@includable("invoice", "payments")
def _payments(store: Store, invoice: Object) -> Object:
    found = store.select("invoice_payment", Query().where("$.invoice", invoice["id"]))
    return whole(found, "/v1/invoice_payments")


@route("GET", "/v1/invoices/ID", Shape(expand=EXPAND))
def retrieve_invoice(call: Call) -> Object:
    return call.store.get("invoice", call.id)


@route("GET", "/v1/invoices/ID/lines", page_shape())
def list_lines(call: Call) -> Object:
    return paged(call.given, call.store.get("invoice", call.id)["lines"]["data"], call.path)


@route(
    "GET", "/v1/invoices",
    list_shape(customer=identifier, status=one_of("draft", "open", "paid", "uncollectible", "void"),
               collection_method=one_of("charge_automatically", "send_invoice")),
)  # fmt: skip
def list_invoices(call: Call) -> Object:
    return page(call, "invoice", "customer", "status", "collection_method")


@route("GET", "/v1/invoice_payments/ID", Shape(expand=EXPAND))
def retrieve_invoice_payment(call: Call) -> Object:
    return call.store.get("invoice_payment", call.id)


@route(
    "GET", "/v1/invoice_payments",
    page_shape(invoice=identifier, status=one_of("canceled", "open", "paid"),
               payment=Shape(("type",), type=one_of("payment_intent"), payment_intent=identifier)),
)  # fmt: skip
def list_invoice_payments(call: Call) -> Object:
    query = Query()
    for name, value in call.given.get("payment", {}).items():
        query = query.where(f"$.payment.{name}", value)
    return page(call, "invoice_payment", "invoice", "status", query=query)

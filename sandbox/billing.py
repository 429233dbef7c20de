"""Invoices as they come about: drafted, finalised, collected, paid or given up."""

import secrets
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sandbox.changes import merged_metadata
from sandbox.connect import require_connect
from sandbox.lists import whole
from sandbox.payments import (
    SMALLEST_AMOUNT,
    USUAL_SMALLEST_AMOUNT,
    cancel,
    confirm_intent,
    fail_intent,
    new_intent,
)
from sandbox.rounding import rounded
from sandbox.shapes import EMPTY_TAX, EMPTY_TIMES
from sandbox.store import Object, Store, random_id

HOUR_SECONDS = 3_600
AUTHENTICATION_REQUIRED = "authentication_required"
Follower = Callable[[Store, Object], None]
# What else happens when an invoice is paid, voided or given up; subscriptions put themselves here.
AFTER_PAID: list[Follower] = []
AFTER_VOIDED: list[Follower] = []
AFTER_GIVEN_UP: list[Follower] = []


def draft_invoice(
    store: Store, customer: Object, currency: str, lines: list[Object], **fields: Any
) -> Object:
    """An invoice that can still be changed, stored and told of. ``fields``: whatever differs from the usual."""
    invoice = unsaved_invoice(store, customer, currency, lines, **fields)
    store.put(invoice)
    store.tell("invoice.created", invoice)
    return invoice


def unsaved_invoice(
    store: Store, customer: Object, currency: str, lines: list[Object], **fields: Any
) -> Object:
    """An invoice as ``draft_invoice`` makes it, for a preview."""
    now, invoice_id = store.now(), random_id("in")
    invoice = store.new(
        "invoice", "in", account_country="US", account_name=store.seller, account_tax_ids=None,
        amount_due=0, amount_overpaid=0, amount_paid=0, amount_remaining=0, amount_shipping=0,
        application=None, attempt_count=0, attempted=False, auto_advance=False,
        automatic_tax=dict(EMPTY_TAX), automatically_finalizes_at=None, billing_reason="manual",
        collection_method="charge_automatically", currency=currency, custom_fields=None,
        customer=customer.get("id"), customer_address=customer.get("address"),
        customer_email=customer.get("email"), customer_name=customer.get("name"), customer_phone=None,
        customer_shipping=None, customer_tax_exempt="none", customer_tax_ids=[],
        default_payment_method=None, default_source=None, default_tax_rates=[], description=None,
        discounts=[], due_date=None, effective_at=None, ending_balance=None, footer=None,
        from_invoice=None, hosted_invoice_url=None, invoice_pdf=None, issuer={"type": "self"},
        last_finalization_error=None, latest_revision=None, metadata={}, next_payment_attempt=None,
        number=None, on_behalf_of=None, parent=None,
        payment_settings={"default_mandate": None, "payment_method_options": None,
                          "payment_method_types": None},
        period_end=now, period_start=now, post_payment_credit_notes_amount=0,
        pre_payment_credit_notes_amount=0, receipt_number=None, rendering=None, shipping_cost=None,
        shipping_details=None, starting_balance=0, statement_descriptor=None, status="draft",
        status_transitions=dict(EMPTY_TIMES), test_clock=None, webhooks_delivered_at=now, _intent=None,
        _connect={},
    )  # fmt: skip
    invoice |= {"id": invoice_id, **fields}
    invoice["lines"] = whole([], f"/v1/invoices/{invoice_id}/lines")
    return with_lines(invoice, lines)


def with_lines(invoice: Object, lines: list[Object]) -> Object:
    """Add lines to an invoice that is not final, and total it anew."""
    shown = invoice["lines"]["data"]
    shown += [line | {"invoice": invoice["id"]} for line in lines]
    discounts: dict[str, int] = {}
    for part in (part for line in shown for part in line["discount_amounts"]):
        discounts[part["discount"]] = discounts.get(part["discount"], 0) + part["amount"]
    taxes = [tax for line in shown for tax in line["taxes"]]
    added = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    subtotal = sum(line["amount"] for line in shown)
    total = subtotal - sum(discounts.values()) + added
    untaxed = total - sum(tax["amount"] for tax in taxes)
    return invoice | {
        "subtotal": subtotal, "subtotal_excluding_tax": subtotal - sum(tax["amount"] for tax in taxes) + added,
        "total": total, "total_excluding_tax": untaxed, "total_taxes": taxes,
        "total_discount_amounts": [{"amount": a, "discount": d} for d, a in discounts.items()],
        "total_pretax_credit_amounts": [], "discounts": list(discounts) or invoice["discounts"],
        "amount_due": max(total, 0), "amount_remaining": max(total, 0) - invoice["amount_paid"],
    }  # fmt: skip


def new_line(
    price: Object | None, amount: int, description: str, period: tuple[int, int], *, currency: str = "",
    quantity: int = 1, discount: Object | None = None, tax_percent: int = 0, parent: Object | None = None,
    metadata: dict[str, str] | None = None,
) -> Object:  # fmt: skip
    """A line of an invoice. ``amount`` is that of the whole quantity, before the discount, in minor units."""
    off = discounted(amount, discount)
    behavior = (price or {}).get("tax_behavior", "exclusive")
    inclusive = behavior == "inclusive"
    tax = tax_on(amount - off, tax_percent, inclusive=inclusive)
    pricing = price and {
        "type": "price_details", "unit_amount_decimal": price["unit_amount_decimal"],
        "price_details": {"price": price["id"], "product": price["product"]},
    }  # fmt: skip
    return {
        "id": random_id("il"), "object": "line_item", "amount": amount,
        "currency": currency or (price or {})["currency"], "description": description,
        "discount_amounts": [{"amount": off, "discount": discount["id"]}] if discount and off else [],
        "discountable": True, "discounts": [], "invoice": None, "livemode": False,
        "metadata": metadata or {}, "parent": parent, "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [], "quantity": quantity, "subtotal": amount, "pricing": pricing,
        "taxes": [_tax(tax, amount - off, inclusive)] if tax else [],
    }  # fmt: skip


def discounted(amount: int, discount: Object | None) -> int:
    """What a percentage takes off an amount, rounded half up; nothing off a credit."""
    if discount is None or amount <= 0:
        return 0
    return rounded(Decimal(amount) * Decimal(str(discount["_percent_off"])) / 100)


def tax_on(amount: int, percent: int, *, inclusive: bool) -> int:
    """The tax on an amount, or within it."""
    return rounded(Decimal(amount) * percent / (100 + percent if inclusive else 100))


def _tax(amount: int, base: int, inclusive: bool) -> Object:
    return {
        "amount": amount, "tax_behavior": "inclusive" if inclusive else "exclusive",
        "tax_rate_details": None, "taxability_reason": "standard_rated", "type": "tax_rate_details",
        "taxable_amount": base - (amount if inclusive else 0),
    }  # fmt: skip


def finalize(store: Store, invoice: Object, intent: Object | None = None) -> Object:
    """Fix an invoice: number, pages, what the customer's balance leaves to pay. Nothing to pay: paid.

    ``intent``: the payment that was made for it already, by Checkout.
    """
    now, address = store.now(), f"{store.public_base_url}/sandbox/invoices/{invoice['id']}"
    customer = store.get("customer", invoice["customer"])
    balance, total = customer.get("balance", 0), invoice["total"]
    due = total if intent is not None else _due(total + balance, invoice["currency"])
    ending = balance + total - due
    if ending != balance:
        store.put(customer | {"balance": ending, "currency": invoice["currency"]})
        store.tell("customer.updated", customer | {"balance": ending}, before={"balance": balance})
    invoice |= {
        "status": "open", "number": f"{secrets.token_hex(4).upper()}-0001", "effective_at": now,
        "hosted_invoice_url": address, "invoice_pdf": f"{address}/pdf", "starting_balance": balance,
        "ending_balance": ending, "amount_due": due, "amount_remaining": due,
        "automatically_finalizes_at": None, "_token": secrets.token_urlsafe(18),
        "status_transitions": invoice["status_transitions"] | {"finalized_at": now},
    }  # fmt: skip
    if due and intent is None:
        fields = {"description": invoice["description"], "customer": invoice["customer"]}
        fields |= invoice["_connect"]
        require_connect(store, fields, due)
        intent = new_intent(store, due, invoice["currency"], **fields) | {"_invoice": invoice["id"]}
        store.put(intent)
    invoice["_intent"] = intent and intent["id"]
    store.put(invoice)
    if intent is not None:
        store.put(_invoice_payment(store, invoice, intent))
    store.tell("invoice.finalized", invoice)
    return invoice if due else settle_invoice(store, invoice)


def _due(owed: int, currency: str) -> int:
    """What is asked for; too little to charge stays with the customer's balance."""
    return owed if owed >= SMALLEST_AMOUNT.get(currency, USUAL_SMALLEST_AMOUNT) else 0


def _invoice_payment(store: Store, invoice: Object, intent: Object) -> Object:
    payment = store.new(
        "invoice_payment", "inpay", amount_paid=None, amount_requested=invoice["amount_due"],
        currency=invoice["currency"], invoice=invoice["id"], is_default=True, status="open",
        payment={"type": "payment_intent", "payment_intent": intent["id"]},
        status_transitions={"canceled_at": None, "paid_at": None},
    )  # fmt: skip
    return payment | {"id": f"inpay_{invoice['id']}"}


def default_method(store: Store, invoice: Object) -> Object | None:
    """What an invoice is charged to where the call names nothing."""
    customer = store.get("customer", invoice["customer"])
    settings = customer.get("invoice_settings") or {}
    chosen = invoice["default_payment_method"] or settings.get("default_payment_method")
    method = store.find("payment_method", chosen)
    return method if method and method["customer"] == customer["id"] else None


def collect(
    store: Store, invoice: Object, method: Object | None, *, off_session: bool, authenticated: bool = False
) -> Object:
    """Try to take what an open invoice asks for. The invoice afterwards; ``_error`` where it stayed unpaid."""
    if method is None:
        return _unpaid(store, invoice, {
            "type": "invalid_request_error", "code": "invoice_no_payment_method_types",
            "message": "There is no payment method to charge this invoice with.",
        })  # fmt: skip
    intent = store.get("payment_intent", invoice["_intent"])
    if intent["status"] == "requires_action" and not authenticated:
        intent |= {"status": "requires_payment_method", "next_action": None}
    intent = confirm_intent(store, intent, method, authenticated=authenticated, return_url="" if off_session
                            else f"{invoice['hosted_invoice_url']}/paid")  # fmt: skip
    if intent["status"] == "succeeded":
        return settle_invoice(store, invoice)
    if intent["status"] == "processing":
        store.put(intent | {"_debited_at": store.now()})
        return store.put(invoice | {"attempted": True, "attempt_count": invoice["attempt_count"] + 1})
    if intent["status"] == "requires_action":
        return _needs_action(store, invoice, intent, off_session=off_session)
    return _unpaid(store, invoice, intent["last_payment_error"])


def _needs_action(store: Store, invoice: Object, intent: Object, *, off_session: bool) -> Object:
    if not off_session:
        store.tell("invoice.payment_action_required", invoice)
        return invoice | {"_error": {"code": "requires_action"}}
    message = "Your card was declined. This transaction requires authentication."
    error = fail_intent(store, intent, AUTHENTICATION_REQUIRED, message, AUTHENTICATION_REQUIRED)
    return _unpaid(store, invoice, error["last_payment_error"])


def _unpaid(store: Store, invoice: Object, error: Object) -> Object:
    invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
    store.put(invoice)
    store.tell("invoice.payment_failed", invoice)
    if error["code"] == AUTHENTICATION_REQUIRED:
        store.tell("invoice.payment_action_required", invoice)
    return invoice | {"_error": error}


def settle_invoice(store: Store, invoice: Object, *, out_of_band: bool = False) -> Object:
    """An invoice is paid, by its payment or outside; whatever waits for it follows."""
    now, due = store.now(), invoice["amount_due"]
    invoice = {name: value for name, value in invoice.items() if name != "_error"} | {
        "status": "paid", "amount_paid": due, "amount_remaining": 0, "attempted": True,
        "attempt_count": invoice["attempt_count"] + (0 if out_of_band or not due else 1),
        "next_payment_attempt": None, "auto_advance": False,
        "status_transitions": invoice["status_transitions"] | {"paid_at": now},
    }  # fmt: skip
    store.put(invoice)
    payment = store.find("invoice_payment", f"inpay_{invoice['id']}")
    if payment is not None and not out_of_band:
        payment |= {"status": "paid", "amount_paid": due,
                    "status_transitions": payment["status_transitions"] | {"paid_at": now}}  # fmt: skip
        store.put(payment)
    elif payment is not None:
        _end_payment(store, invoice)
    store.tell("invoice.paid", invoice)
    store.tell("invoice.payment_succeeded", invoice)
    if payment is not None and not out_of_band:
        store.tell("invoice_payment.paid", payment)
    for follow in AFTER_PAID:
        follow(store, invoice)
    return invoice


def void_invoice(store: Store, invoice: Object) -> Object:
    """Nobody is to pay this invoice any more."""
    _end_payment(store, invoice)
    if invoice["ending_balance"] != invoice["starting_balance"]:
        customer = store.get("customer", invoice["customer"])
        taken = invoice["ending_balance"] - invoice["starting_balance"]
        store.put(customer | {"balance": customer["balance"] - taken})
    invoice |= {
        "status": "void", "next_payment_attempt": None, "auto_advance": False,
        "status_transitions": invoice["status_transitions"] | {"voided_at": store.now()},
    }  # fmt: skip
    store.put(invoice)
    store.tell("invoice.voided", invoice)
    for follow in AFTER_VOIDED:
        follow(store, invoice)
    return invoice


def give_up_invoice(store: Store, invoice: Object) -> Object:
    """The seller does not expect the money any more; it can still be paid."""
    invoice |= {
        "status": "uncollectible", "next_payment_attempt": None, "auto_advance": False,
        "status_transitions": invoice["status_transitions"] | {"marked_uncollectible_at": store.now()},
    }  # fmt: skip
    store.put(invoice)
    store.tell("invoice.marked_uncollectible", invoice)
    for follow in AFTER_GIVEN_UP:
        follow(store, invoice)
    return invoice


def _end_payment(store: Store, invoice: Object) -> None:
    intent = store.find("payment_intent", invoice["_intent"])
    if intent is not None and intent["status"] not in ("canceled", "succeeded"):
        cancel(store, intent, "void_invoice")
    payment = store.find("invoice_payment", f"inpay_{invoice['id']}")
    if payment is not None and payment["status"] == "open":
        times = payment["status_transitions"] | {"canceled_at": store.now()}
        store.put(payment | {"status": "canceled", "status_transitions": times})


def invoice_metadata(given: dict[str, Any]) -> dict[str, str]:
    """The metadata of a call, without what is empty."""
    return merged_metadata({}, given.get("metadata", {}))

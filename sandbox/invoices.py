"""The calls on invoices, their items and payments; the invoice that a paid Checkout Session leaves."""

from typing import Any

from sandbox.billing import (
    HOUR_SECONDS,
    collect,
    default_method,
    draft_invoice,
    finalize,
    give_up_invoice,
    invoice_metadata,
    new_line,
    settle_invoice,
    void_invoice,
    with_lines,
)
from sandbox.catalog import amount_of
from sandbox.changes import updated
from sandbox.changing import payment_refused, preview_change
from sandbox.connect import TRANSFER_DATA, require_connect
from sandbox.lists import page, paged, whole
from sandbox.lookups import living_customer
from sandbox.methods import usable_method
from sandbox.parameters import (
    EXPAND,
    Shape,
    boolean,
    currency,
    identifier,
    integer,
    list_of,
    list_shape,
    metadata,
    one_of,
    page_shape,
    positive,
    string,
)
from sandbox.problems import StripeProblem, invalid
from sandbox.rendering import includable
from sandbox.routing import Call, route
from sandbox.searching import SEARCH, search
from sandbox.shapes import CUSTOM_FIELDS, EMPTY_TAX, ISSUER
from sandbox.store import Object, Query, Store
from sandbox.subscriptions import PRORATION, change_of

_INVOICE = {
    "application_fee_amount": positive, "auto_advance": boolean, "custom_fields": CUSTOM_FIELDS,
    "default_payment_method": identifier, "description": string, "expand": EXPAND, "footer": string,
    "metadata": metadata, "on_behalf_of": identifier, "transfer_data": TRANSFER_DATA,
}  # fmt: skip
_SEARCHED = {
    "currency": "$.currency", "customer": "$.customer", "number": "$.number", "status": "$.status",
    "subscription": "$.parent.subscription_details.subscription", "total": "$.total", "created": "$.created",
}  # fmt: skip
# What it may say of a connected account.
_CONNECT = ("application_fee_amount", "on_behalf_of", "transfer_data")
_PERIOD = Shape(("start", "end"), start=integer, end=integer)


def new_paid_invoice(store: Store, session: Object) -> Object:
    """The invoice of a paid session in payment mode, with its payment and events."""
    data, details = session["invoice_creation"]["invoice_data"], session["customer_details"] or {}
    customer = store.find("customer", session["customer"]) or {}
    if not customer:
        raise invalid("An invoice needs a customer.", "invoice_creation")
    now, percent = store.now(), store.tax_percent if session["automatic_tax"]["enabled"] else 0
    lines = [
        new_line(item["price"], item["amount_subtotal"], item["description"], (now, now), tax_percent=percent,
                 quantity=item["quantity"], metadata=item["metadata"])
        for item in session["_lines"]
    ]  # fmt: skip
    invoice = draft_invoice(
        store, customer, session["currency"], lines, custom_fields=data["custom_fields"],
        description=data["description"], footer=data["footer"], metadata=data["metadata"],
        customer_email=details.get("email"),
        automatic_tax=EMPTY_TAX | {"enabled": session["automatic_tax"]["enabled"],
                                   "status": session["automatic_tax"]["status"]},
    )  # fmt: skip
    intent = store.get("payment_intent", session["payment_intent"])
    invoice = finalize(store, invoice, intent)
    return settle_invoice(store, invoice) if invoice["status"] == "open" else invoice


@route(
    "POST", "/v1/invoices",
    Shape(("customer",), customer=identifier, currency=currency, pending_invoice_items_behavior=one_of("exclude"),
          collection_method=one_of("charge_automatically"), issuer=ISSUER, **_INVOICE),
)  # fmt: skip
def create_invoice(call: Call) -> Object:
    given, store = call.given, call.store
    customer = living_customer(store, given["customer"])
    names = ("auto_advance", "custom_fields", "default_payment_method", "description", "footer")
    fields = {name: given[name] for name in names if name in given}
    if "default_payment_method" in fields:
        usable_method(store, fields["default_payment_method"], customer["id"], "default_payment_method")
    fields |= _connect(store, given)
    if given.get("auto_advance", True):
        fields |= {"auto_advance": True, "automatically_finalizes_at": store.now() + HOUR_SECONDS}
    return draft_invoice(store, customer, given.get("currency", "usd"), [], metadata=invoice_metadata(given),
                         **fields)  # fmt: skip


def _connect(store: Store, given: dict[str, Any], known: dict[str, Any] | None = None) -> dict[str, Any]:
    """What an invoice sends to a connected account, as its own notes. Raises StripeProblem."""
    wanted = (known or {}) | {name: given[name] for name in _CONNECT if name in given}
    require_connect(store, wanted, None)
    return {"_connect": wanted, "on_behalf_of": wanted.get("on_behalf_of")}


@route(
    "POST", "/v1/invoiceitems",
    Shape(("customer", "invoice"), customer=identifier, invoice=identifier, amount=integer, currency=currency,
          description=string, expand=EXPAND, metadata=metadata, period=_PERIOD, quantity=positive,
          pricing=Shape(("price",), price=identifier)),
)  # fmt: skip
def create_invoice_item(call: Call) -> Object:
    given, store = call.given, call.store
    invoice = _in_state(store, given["invoice"], "draft", param="invoice")
    if invoice["customer"] != given["customer"]:
        raise invalid("The invoice belongs to another customer.", "invoice")
    if ("amount" in given) == ("pricing" in given):
        raise invalid("Give either amount or pricing.", "amount", "parameter_missing")
    if "amount" in given and ("currency" not in given or "quantity" in given):
        raise invalid("An amount needs its currency, and no quantity.", "currency", "parameter_missing")
    price = store.get("price", given["pricing"]["price"], "pricing[price]") if "pricing" in given else None
    quantity = given.get("quantity", 1)
    money_of = price["currency"] if price else given["currency"]
    if money_of != invoice["currency"]:
        raise invalid("The item's currency must be the invoice's.", "currency")
    amount, now = amount_of(price, quantity) if price else given["amount"], store.now()
    period = given.get("period", {"start": now, "end": now})
    item = store.new(
        "invoiceitem", "ii", amount=amount, currency=money_of, customer=invoice["customer"], date=now,
        description=given.get("description"), discountable=True, discounts=[], invoice=invoice["id"],
        metadata=invoice_metadata(given), net_amount=amount, parent=None, period=period, pricing=None,
        proration=False, quantity=quantity, quantity_decimal=str(quantity), tax_rates=[], test_clock=None,
    )  # fmt: skip
    del item["created"]
    line = new_line(
        price, amount, given.get("description") or "", (period["start"], period["end"]), currency=money_of,
        quantity=quantity, metadata=item["metadata"],
        parent={"type": "invoice_item_details", "subscription_item_details": None,
                "invoice_item_details": {"invoice_item": item["id"], "proration": False,
                                         "proration_details": None, "subscription": None}},
    )  # fmt: skip
    item["pricing"] = line["pricing"]
    store.put(item)
    store.put(with_lines(invoice, [line]))
    store.tell("invoiceitem.created", item)
    return item


@route("GET", "/v1/invoiceitems/ID", Shape(expand=EXPAND))
def retrieve_invoice_item(call: Call) -> Object:
    return call.store.get("invoiceitem", call.id)


@route("GET", "/v1/invoiceitems", list_shape(customer=identifier, invoice=identifier))
def list_invoice_items(call: Call) -> Object:
    return page(call, "invoiceitem", "customer", "invoice")


def _in_state(store: Store, invoice_id: str, *states: str, param: str = "id") -> Object:
    """An invoice in one of some states. Raises StripeProblem."""
    invoice = store.get("invoice", invoice_id, param)
    if invoice["status"] not in states:
        raise StripeProblem(400, "invalid_request_error", code="invoice_not_editable", param=param,
                            message=f"This invoice is {invoice['status']}; that cannot be done to it.")  # fmt: skip
    return invoice


_PREVIEW_DETAILS = Shape(
    ("items",), items=list_of(Shape(id=identifier, price=identifier, quantity=positive)),
    proration_behavior=PRORATION, proration_date=integer,
)  # fmt: skip


@route(
    "POST", "/v1/invoices/create_preview",
    Shape(("subscription",), customer=identifier, subscription=identifier, expand=EXPAND,
          subscription_details=_PREVIEW_DETAILS),
)  # fmt: skip
def create_preview(call: Call) -> Object:
    given = call.given
    subscription = call.store.get("subscription", given["subscription"], "subscription")
    if given.get("customer", subscription["customer"]) != subscription["customer"]:
        raise invalid("The subscription belongs to another customer.", "customer")
    details: dict[str, Any] = given.get("subscription_details", {"items": []})
    if not details["items"]:
        raise invalid("Name the item of the subscription and its price.", "subscription_details[items]",
                      "parameter_missing")  # fmt: skip
    change = change_of(call.store, subscription, details, "subscription_details[items]")
    return preview_change(call.store, subscription, change)


@route("POST", "/v1/invoices/ID", Shape(**_INVOICE))
def update_invoice(call: Call) -> Object:
    more = set(call.given) - {"metadata", "expand", "auto_advance", "default_payment_method"}
    states = ("draft",) if more else ("draft", "open", "paid", "uncollectible", "void")
    invoice = _in_state(call.store, call.id, *states)
    if more & set(_CONNECT):
        invoice |= _connect(call.store, call.given, invoice["_connect"])
    for name in _CONNECT:
        call.given.pop(name, None)
    return updated(call, invoice, "invoice.updated")


@route("DELETE", "/v1/invoices/ID", Shape())
def delete_invoice(call: Call) -> Object:
    invoice = _in_state(call.store, call.id, "draft")
    if invoice["parent"]:
        raise invalid("You can only delete draft invoices that belong to no subscription.")
    call.store.remove(call.id)
    call.store.tell("invoice.deleted", invoice)
    return {"id": call.id, "object": "invoice", "deleted": True}


@route("POST", "/v1/invoices/ID/finalize", Shape(auto_advance=boolean, expand=EXPAND))
def finalize_invoice(call: Call) -> Object:
    invoice = _in_state(call.store, call.id, "draft")
    if not invoice["lines"]["data"]:
        raise invalid(
            "You can't finalize an invoice without any lines.", code="invoice_no_customer_line_items"
        )
    invoice["auto_advance"] = call.given.get("auto_advance", invoice["auto_advance"])
    return finalize(call.store, invoice)


@route(
    "POST", "/v1/invoices/ID/pay",
    Shape(expand=EXPAND, off_session=boolean, paid_out_of_band=boolean, payment_method=identifier),
)  # fmt: skip
def pay_invoice(call: Call) -> Object:
    given, store = call.given, call.store
    invoice = store.get("invoice", call.id)
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid.")
    invoice = _in_state(store, call.id, "open", "uncollectible")
    if given.get("paid_out_of_band"):
        return settle_invoice(store, invoice, out_of_band=True)
    chosen = given.get("payment_method")
    if chosen:
        method: Object | None = usable_method(store, chosen, invoice["customer"], "payment_method")
    else:
        method = default_method(store, invoice)
    invoice = collect(store, invoice, method, off_session=given.get("off_session", True))
    if "_error" in invoice:
        code = invoice["_error"]["code"]
        if code == "requires_action":
            invoice["_error"]["code"] = "invoice_payment_intent_requires_action"
        raise payment_refused(store, invoice, has_effect=True)
    return invoice


@route("POST", "/v1/invoices/ID/void", Shape(expand=EXPAND))
def void(call: Call) -> Object:
    return void_invoice(call.store, _in_state(call.store, call.id, "open", "uncollectible"))


@route("POST", "/v1/invoices/ID/mark_uncollectible", Shape(expand=EXPAND))
def mark_uncollectible(call: Call) -> Object:
    return give_up_invoice(call.store, _in_state(call.store, call.id, "open"))


@includable("invoice", "payments")
def _payments(store: Store, invoice: Object) -> Object:
    found = store.find("invoice_payment", f"inpay_{invoice['id']}")
    return whole([found] if found else [], "/v1/invoice_payments")


@includable("invoice", "confirmation_secret")
def _confirmation_secret(store: Store, invoice: Object) -> Object | None:
    """What a page of the seller's own would confirm the payment with."""
    intent = store.find("payment_intent", invoice["_intent"])
    return intent and {"client_secret": intent["client_secret"], "type": "payment_intent"}


@route("GET", "/v1/invoices/search", SEARCH)
def search_invoices(call: Call) -> Object:
    return search(call, "invoice", _SEARCHED)


@route("GET", "/v1/invoices/ID", Shape(expand=EXPAND))
def retrieve_invoice(call: Call) -> Object:
    return call.store.get("invoice", call.id)


@route("GET", "/v1/invoices/ID/lines", page_shape())
def list_lines(call: Call) -> Object:
    return paged(call.given, call.store.get("invoice", call.id)["lines"]["data"], call.path)


@route(
    "GET", "/v1/invoices",
    list_shape(customer=identifier, status=one_of("draft", "open", "paid", "uncollectible", "void"),
               collection_method=one_of("charge_automatically", "send_invoice"), subscription=identifier),
)  # fmt: skip
def list_invoices(call: Call) -> Object:
    query = Query()
    if "subscription" in call.given:
        query = query.where("$.parent.subscription_details.subscription", call.given["subscription"])
    return page(call, "invoice", "customer", "status", "collection_method", query=query)


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

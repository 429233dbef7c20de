"""Checkout Sessions in payment mode: made by a call, paid on a hosted page or by a test."""

import secrets
from typing import Any

from sandbox.cards import CARDS, Card
from sandbox.customers import PRODUCT_DATA, merged_metadata, new_price, new_product
from sandbox.invoices import new_paid_invoice
from sandbox.parameters import (
    EXPAND,
    Shape,
    address,
    anything,
    boolean,
    currency,
    integer,
    list_of,
    list_shape,
    metadata,
    not_negative,
    one_of,
    page_shape,
    positive,
    string,
)
from sandbox.payments import (
    SMALLEST_AMOUNT,
    confirm_intent,
    fail_intent,
    new_intent,
    new_method,
    no_method_types,
    settle_intent,
)
from sandbox.problems import invalid
from sandbox.routing import Call, page, paged, route
from sandbox.store import Object, Store

DAY_SECONDS = 86_400
_PRICE_DATA = Shape(
    ("currency",), currency=currency, product=string, product_data=PRODUCT_DATA, unit_amount=not_negative,
    unit_amount_decimal=string, tax_behavior=string, recurring=anything,
)  # fmt: skip
_LINE_ITEM = Shape(
    price=string, price_data=_PRICE_DATA, quantity=positive, adjustable_quantity=anything,
    tax_rates=list_of(string), dynamic_tax_rates=anything, metadata=metadata,
)  # fmt: skip
_INTENT_DATA = Shape(
    application_fee_amount=integer, capture_method=string, description=string, metadata=metadata,
    on_behalf_of=string, receipt_email=string, setup_future_usage=one_of("on_session", "off_session"),
    shipping=anything, statement_descriptor=string, statement_descriptor_suffix=string,
    transfer_data=anything, transfer_group=string,
)  # fmt: skip
_ENABLED = Shape(("enabled",), enabled=boolean, liability=anything)
_INVOICE_CREATION = Shape(("enabled",), enabled=boolean, invoice_data=anything)


@route(
    "POST", "/v1/checkout/sessions",
    Shape(
        ("mode", "line_items"), mode=one_of("payment"), line_items=list_of(_LINE_ITEM), customer=string,
        customer_email=string, customer_creation=one_of("always", "if_required"), customer_update=anything,
        client_reference_id=string, metadata=metadata, payment_intent_data=_INTENT_DATA,
        invoice_creation=_INVOICE_CREATION, success_url=address, cancel_url=address, return_url=address,
        expires_at=integer, allow_promotion_codes=boolean, automatic_tax=_ENABLED, discounts=anything,
        billing_address_collection=one_of("auto", "required"), phone_number_collection=anything,
        tax_id_collection=anything, locale=string, submit_type=string, currency=currency, expand=EXPAND,
        consent_collection=anything, custom_text=anything, custom_fields=anything, ui_mode=string,
        payment_method_types=no_method_types, payment_method_collection=string,
        payment_method_options=anything, saved_payment_method_options=anything, origin_context=string,
        branding_settings=anything, wallet_options=anything, adaptive_pricing=anything,
        shipping_address_collection=anything, after_expiration=anything,
    ),
)  # fmt: skip
def create_session(call: Call) -> Object:
    given, store = call.given, call.store
    if "success_url" not in given:
        raise invalid("Missing required param: success_url.", "success_url", "parameter_missing")
    if "customer" in given and "customer_email" in given:
        raise invalid("You may only specify one of these parameters: customer, customer_email.", "customer")
    if "customer" in given and store.get("customer", given["customer"], "customer").get("deleted"):
        raise invalid(f"No such customer: '{given['customer']}'", "customer", "resource_missing")
    lines = [_line(call, item, index) for index, item in enumerate(given["line_items"])]
    total = sum(line["amount_total"] for line in lines)
    if not lines or len({line["currency"] for line in lines}) > 1:
        raise invalid("Line items must share one currency.", "line_items")
    if total < SMALLEST_AMOUNT:
        raise invalid("The total must be at least $0.50 usd", "line_items", "amount_too_small")
    session = _session(call, lines, total)
    store.put(session)
    return session


def _line(call: Call, item: dict[str, Any], index: int) -> Object:
    name = f"line_items[{index}]"
    if ("price" in item) == ("price_data" in item):
        raise invalid(f"Give either {name}[price] or {name}[price_data].", name, "parameter_missing")
    if "quantity" not in item:
        raise invalid("Quantity is required.", f"{name}[quantity]", "parameter_missing")
    if "price" in item:
        price = call.store.get("price", item["price"], f"{name}[price]")
        if not price["active"]:
            raise invalid("The price specified is inactive.", f"{name}[price]", "price_inactive")
    else:
        price = _price_of(call, item["price_data"], name)
    if price["type"] != "one_time":
        raise invalid("You must provide one-time prices in payment mode.", f"{name}[price]")
    amount = price["unit_amount"] * item["quantity"]
    product = call.store.get("product", price["product"])
    return {
        "id": f"li_{secrets.token_hex(12)}", "object": "item", "adjustable_quantity": None,
        "amount_discount": 0, "amount_subtotal": amount, "amount_tax": 0, "amount_total": amount,
        "currency": price["currency"], "description": product["name"], "metadata": {}, "price": price,
        "quantity": item["quantity"],
    }  # fmt: skip


def _price_of(call: Call, data: dict[str, Any], name: str) -> Object:
    if "unit_amount" not in data:
        raise invalid("Missing required param: unit_amount.", f"{name}[price_data][unit_amount]",
                      "parameter_missing")  # fmt: skip
    if ("product" in data) == ("product_data" in data):
        raise invalid("Give either product or product_data.", f"{name}[price_data][product]",
                      "parameter_missing")  # fmt: skip
    if "product" in data:
        product_id = call.store.get("product", data["product"], f"{name}[price_data][product]")["id"]
    else:
        product_id = new_product(call, data["product_data"])["id"]
    return new_price(call, data, product_id, active=False)


def _session(call: Call, lines: list[Object], total: int) -> Object:
    given, now = call.given, call.store.now()
    expires_at = given.get("expires_at", now + DAY_SECONDS)
    if not now + 29 * 60 <= expires_at <= now + DAY_SECONDS + 60:
        raise invalid("expires_at must be between 30 minutes and 24 hours from now.", "expires_at")
    session_id = f"cs_test_{secrets.token_hex(24)}"
    invoice = given.get("invoice_creation", {"enabled": False})
    tax = given.get("automatic_tax", {}).get("enabled", False)
    session = call.store.new(
        "checkout.session", "cs_test", adaptive_pricing=None, after_expiration=None,
        allow_promotion_codes=given.get("allow_promotion_codes"), amount_subtotal=total,
        amount_total=total, automatic_tax={"enabled": tax, "liability": None, "provider": None,
                                           "status": "complete" if tax else None},
        billing_address_collection=given.get("billing_address_collection"),
        cancel_url=given.get("cancel_url"), client_reference_id=given.get("client_reference_id"),
        client_secret=None, collected_information=None, consent=None, consent_collection=None,
        currency=lines[0]["currency"], currency_conversion=None, custom_fields=[],
        custom_text={"after_submit": None, "shipping_address": None, "submit": None,
                     "terms_of_service_acceptance": None},
        customer=given.get("customer"), customer_creation=given.get("customer_creation", "if_required"),
        customer_details=None, customer_email=given.get("customer_email"), discounts=[],
        expires_at=expires_at, invoice=None, locale=given.get("locale"),
        invoice_creation={"enabled": invoice["enabled"], "invoice_data": {
            "account_tax_ids": None, "custom_fields": None, "description": None, "footer": None,
            "issuer": None, "metadata": {}, "rendering_options": None}},
        metadata=merged_metadata({}, given.get("metadata", {})), mode="payment", origin_context=None,
        payment_intent=None, payment_link=None, payment_method_collection="if_required",
        payment_method_configuration_details=None, payment_method_options={},
        payment_method_types=["card"], payment_status="unpaid", permissions=None,
        phone_number_collection={"enabled": False}, recovered_from=None,
        saved_payment_method_options=None, setup_intent=None, shipping_address_collection=None,
        shipping_cost=None, shipping_options=[], status="open", submit_type=None, subscription=None,
        success_url=given["success_url"], tax_id_collection=None, wallet_options=None,
        total_details={"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        ui_mode="hosted_page",
        line_items={"object": "list", "data": lines, "has_more": False,
                    "url": f"/v1/checkout/sessions/{session_id}/line_items"},
        _intent_data=given.get("payment_intent_data", {}), _token=secrets.token_urlsafe(18),
    )  # fmt: skip
    session["id"] = session_id
    session["url"] = f"{call.store.public_base_url}/sandbox/pay/{session_id}"
    return session


@route("GET", "/v1/checkout/sessions/ID", Shape(expand=EXPAND))
def retrieve_session(call: Call) -> Object:
    return expire_if_due(call.store, call.store.get("checkout.session", call.id))


@route("GET", "/v1/checkout/sessions/ID/line_items", page_shape())
def list_line_items(call: Call) -> Object:
    return paged(call.given, call.store.get("checkout.session", call.id)["line_items"]["data"], call)


@route(
    "GET", "/v1/checkout/sessions",
    list_shape(customer=string, payment_intent=string, status=string, subscription=string,
               customer_details=anything, payment_link=string),
)  # fmt: skip
def list_sessions(call: Call) -> Object:
    return page(call, "checkout.session", lambda item: True, "customer", "payment_intent", "status")


@route("POST", "/v1/checkout/sessions/ID/expire", Shape(expand=EXPAND))
def expire_session(call: Call) -> Object:
    session = call.store.get("checkout.session", call.id)
    if session["status"] != "open":
        raise invalid(f"Only open Checkout Sessions can be expired; this one is {session['status']}.")
    return _expire(call.store, session)


def expire_if_due(store: Store, session: Object) -> Object:
    """An open session past its time is expired by whoever looks first."""
    if session["status"] == "open" and store.now() >= session["expires_at"]:
        with store.change():
            return _expire(store, session)
    return session


def _expire(store: Store, session: Object) -> Object:
    session |= {"status": "expired", "url": None}
    store.put(session)
    store.tell("checkout.session.expired", session)
    return session


def pay_checkout(
    store: Store, session_id: str, card: str = "4242424242424242", *, authenticated: bool = False,
    email: str | None = None, event_copies: int = 1,
) -> Object:  # fmt: skip
    """What the hosted page does on "Pay": the session afterwards, or its intent's refusal in ``_refusal``.

    Raises StripeProblem where the session is not open. ``event_copies`` tells one fact under several ids.
    """
    with store.change():
        session = expire_if_due(store, store.get("checkout.session", session_id))
        if session["status"] != "open":
            raise invalid(f"This Checkout Session is {session['status']}.")
        _take_customer(store, session, email)
        intent = _intent(store, session)
        chosen: Card = CARDS[card]
        method = new_method(store, chosen, session["customer"])
        intent = confirm_intent(store, intent, chosen, method_id=method["id"], authenticated=authenticated)
        if intent["status"] in ("succeeded", "processing"):
            return _complete(store, session, intent, event_copies)
        store.put(session)
        error = intent["last_payment_error"]
        return session | {"_refusal": error["message"] if error else "requires_action"}


def _take_customer(store: Store, session: Object, email: str | None) -> None:
    customer = store.find("customer", session["customer"]) if session["customer"] else None
    known = email or session["customer_email"] or (customer or {}).get("email")
    if customer is None and session["customer_creation"] == "always":
        customer = store.new("customer", "cus", email=known, metadata={}, name=None, address=None)
        session["customer"] = store.put(customer)["id"]
    session["customer_details"] = {
        "address": None, "business_name": None, "email": known, "individual_name": None, "name": None,
        "phone": None, "tax_exempt": "none", "tax_ids": [],
    }  # fmt: skip


def _intent(store: Store, session: Object) -> Object:
    """No payment intent exists until the customer pays."""
    if session["payment_intent"]:
        return store.get("payment_intent", session["payment_intent"])
    intent = new_intent(
        store, session["amount_total"], session["currency"], customer=session["customer"],
        **session["_intent_data"],
    )  # fmt: skip
    session["payment_intent"] = intent["id"]
    return intent


def _complete(store: Store, session: Object, intent: Object, event_copies: int) -> Object:
    paid = intent["status"] == "succeeded"
    session |= {"status": "complete", "payment_status": "paid" if paid else "unpaid", "url": None}
    if paid and session["invoice_creation"]["enabled"]:
        session["invoice"] = new_paid_invoice(store, session)["id"]
    store.put(session)
    store.tell("checkout.session.completed", session, copies=event_copies)
    return session


def settle_debit(store: Store, session_id: str, *, succeeds: bool = True) -> Object:
    """The bank's answer to a debit: the session is paid now, or the debit came back."""
    with store.change():
        session = store.get("checkout.session", session_id)
        intent = store.get("payment_intent", session["payment_intent"])
        if succeeds:
            settle_intent(store, intent)
            session["payment_status"] = "paid"
            if session["invoice_creation"]["enabled"]:
                session["invoice"] = new_paid_invoice(store, session)["id"]
        else:
            fail_intent(
                store, intent, "payment_intent_payment_attempt_failed", "The bank returned the debit."
            )
        store.put(session)
        outcome = "succeeded" if succeeds else "failed"
        store.tell(f"checkout.session.async_payment_{outcome}", session)
        return session

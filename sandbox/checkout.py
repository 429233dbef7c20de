"""Checkout Sessions in payment mode: the calls, and what paying does."""

import secrets
from typing import Any

from sandbox.cards import GOOD_CARD, card_of
from sandbox.changes import merged_metadata, updated
from sandbox.customers import new_customer
from sandbox.intents import refuse_connect
from sandbox.invoices import new_paid_invoice
from sandbox.line_items import LINE_ITEM, new_line
from sandbox.lists import page, paged, whole
from sandbox.lookups import living_customer
from sandbox.methods import new_method, no_method_types
from sandbox.parameters import (
    EXPAND,
    Shape,
    address,
    boolean,
    currency,
    email,
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
from sandbox.payments import (
    cancel,
    confirm_intent,
    fail_authentication,
    fail_intent,
    new_intent,
    require_amount,
    settle_intent,
)
from sandbox.problems import StripeProblem, invalid, missing
from sandbox.rendering import includable
from sandbox.routing import Call, route
from sandbox.shapes import (
    CUSTOM_FIELDS,
    EMPTY_CUSTOM_TEXT,
    EMPTY_INVOICE_DATA,
    ENABLED,
    ISSUER,
    RENDERING_OPTIONS,
    SHIPPING,
)
from sandbox.store import Object, Query, Store

DAY_SECONDS = 86_400
SHORTEST_SECONDS = 30 * 60
LEEWAY_SECONDS = 60  # the caller's clock and ours may differ a little
MOST_LINES = 100
LOCALES = (  # of the page
    "auto bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hr hu id it ja ko lt lv ms mt nb nl pl pt "
    "pt-BR ro ru sk sl sv th tr vi zh zh-HK zh-TW"
)
_FUTURE_USAGE = one_of("on_session", "off_session")
_INTENT_DATA = Shape(
    application_fee_amount=positive, description=string, metadata=metadata, on_behalf_of=identifier,
    capture_method=one_of("automatic", "automatic_async"), receipt_email=email,
    setup_future_usage=_FUTURE_USAGE, shipping=SHIPPING, statement_descriptor=string,
    statement_descriptor_suffix=string, transfer_group=string,
    transfer_data=Shape(("destination",), destination=identifier, amount=positive),
)  # fmt: skip
_INVOICE_CREATION = Shape(
    ("enabled",), enabled=boolean,
    invoice_data=Shape(custom_fields=CUSTOM_FIELDS, description=string, footer=string, issuer=ISSUER,
                       metadata=metadata, rendering_options=RENDERING_OPTIONS),
)  # fmt: skip
_UPDATE = one_of("auto", "never")
_MESSAGE = Shape(("message",), message=string)
_CARD_OPTIONS = Shape(
    request_three_d_secure=one_of("any", "automatic", "challenge"), setup_future_usage=_FUTURE_USAGE,
    statement_descriptor_suffix_kana=string, statement_descriptor_suffix_kanji=string,
)  # fmt: skip
_SESSION = Shape(
    ("mode", "success_url"), mode=one_of("payment"), line_items=list_of(LINE_ITEM), customer=identifier,
    adaptive_pricing=Shape(enabled=boolean), allow_promotion_codes=boolean,
    automatic_tax=Shape(("enabled",), enabled=boolean, liability=ISSUER),
    billing_address_collection=one_of("auto", "required"), cancel_url=address, client_reference_id=string,
    currency=currency, customer_creation=one_of("always", "if_required"), customer_email=email,
    customer_update=Shape(address=_UPDATE, name=_UPDATE, shipping=_UPDATE),
    custom_text=Shape(after_submit=_MESSAGE, shipping_address=_MESSAGE, submit=_MESSAGE,
                      terms_of_service_acceptance=_MESSAGE),
    discounts=list_of(Shape(coupon=identifier, promotion_code=identifier)), expand=EXPAND,
    expires_at=integer, invoice_creation=_INVOICE_CREATION, locale=one_of(*LOCALES.split()), metadata=metadata,
    origin_context=one_of("mobile_app", "web"), payment_intent_data=_INTENT_DATA,
    payment_method_collection=one_of("always", "if_required"), payment_method_types=no_method_types,
    payment_method_options=Shape(card=_CARD_OPTIONS), phone_number_collection=ENABLED,
    saved_payment_method_options=Shape(
        allow_redisplay_filters=list_of(one_of("always", "limited", "unspecified")),
        payment_method_remove=one_of("disabled", "enabled"), payment_method_save=one_of("disabled", "enabled"),
    ),
    submit_type=one_of("auto", "book", "donate", "pay"), success_url=address,
    tax_id_collection=Shape(("enabled",), enabled=boolean, required=one_of("if_supported", "never")),
    ui_mode=one_of("hosted_page"), wallet_options=Shape(link=Shape(display=_UPDATE)),
)  # fmt: skip


@route("POST", "/v1/checkout/sessions", _SESSION)
def create_session(call: Call) -> Object:
    given = call.given
    if not given.get("line_items"):
        raise invalid("You must provide line_items in payment mode.", "line_items", "parameter_missing")
    if len(given["line_items"]) > MOST_LINES:
        raise invalid("There can be at most 100 line items.", "line_items")
    _require_customer(call)
    for index, discount in enumerate(given.get("discounts", [])):
        for kind, wanted in discount.items():
            raise missing(kind.replace("_", " "), wanted, f"discounts[{index}][{kind}]")
    refuse_connect(given.get("payment_intent_data", {}), "payment_intent_data")
    is_taxed = given.get("automatic_tax", {}).get("enabled", False)
    lines = [new_line(call, item, index, is_taxed=is_taxed) for index, item in enumerate(given["line_items"])]
    wanted = {line["currency"] for line in lines} | ({given["currency"]} if "currency" in given else set())
    if len(wanted) > 1:
        raise invalid("All line items must have the same currency.", "line_items")
    require_amount(sum(line["amount_total"] for line in lines), wanted.pop(), "line_items")
    return call.store.put(_session(call, lines))


def _require_customer(call: Call) -> None:
    """Check what a session says of its customer. Raises StripeProblem."""
    given, taxes = call.given, call.given.get("automatic_tax", {}).get("enabled")
    updates = given.get("customer_update", {})
    if "customer" not in given:
        if updates:
            raise invalid("`customer_update` can only be used with `customer`.", "customer_update")
        return
    for other in ("customer_email", "customer_creation"):
        if other in given:
            raise invalid(f"You may only specify one of these parameters: customer, {other}.", other)
    customer = living_customer(call.store, given["customer"])
    if taxes and not customer["address"] and "auto" not in (updates.get("address"), updates.get("shipping")):
        raise invalid("Automatic tax calculation in Checkout requires a valid address on the Customer. Add one "
                      "or set `customer_update[address]` to 'auto'.", "automatic_tax",
                      "customer_tax_location_invalid")  # fmt: skip
    if given.get("tax_id_collection", {}).get("enabled") and updates.get("name") != "auto":
        raise invalid("Tax ID collection requires updating business name on the customer. Set "
                      "`customer_update[name]` to 'auto'.", "tax_id_collection")  # fmt: skip


def _session(call: Call, lines: list[Object]) -> Object:
    given, now = call.given, call.store.now()
    expires_at = given.get("expires_at", now + DAY_SECONDS)
    if not now + SHORTEST_SECONDS - LEEWAY_SECONDS <= expires_at <= now + DAY_SECONDS + LEEWAY_SECONDS:
        raise invalid("The `expires_at` timestamp must be between 30 minutes and 24 hours from now.",
                      "expires_at")  # fmt: skip
    invoice = given.get("invoice_creation", {"enabled": False})
    tax = given.get("automatic_tax", {}).get("enabled", False)
    session = call.store.new(
        "checkout.session", "cs_test", adaptive_pricing=given.get("adaptive_pricing"),
        after_expiration=None, allow_promotion_codes=given.get("allow_promotion_codes"),
        amount_subtotal=sum(line["amount_subtotal"] for line in lines),
        amount_total=sum(line["amount_total"] for line in lines),
        automatic_tax={"enabled": tax, "liability": {"type": "self"} if tax else None,
                       "provider": "stripe" if tax else None, "status": "complete" if tax else None},
        billing_address_collection=given.get("billing_address_collection"),
        cancel_url=given.get("cancel_url"), client_reference_id=given.get("client_reference_id"),
        client_secret=None, collected_information=None, consent=None, consent_collection=None,
        currency=lines[0]["currency"], currency_conversion=None, custom_fields=[],
        custom_text=EMPTY_CUSTOM_TEXT | given.get("custom_text", {}), customer=given.get("customer"),
        customer_creation=None if "customer" in given else given.get("customer_creation", "if_required"),
        customer_details=None, customer_email=given.get("customer_email"), discounts=[],
        expires_at=expires_at, invoice=None, locale=given.get("locale"),
        invoice_creation={"enabled": invoice["enabled"],
                          "invoice_data": EMPTY_INVOICE_DATA | invoice.get("invoice_data", {})},
        metadata=merged_metadata({}, given.get("metadata", {})), mode="payment",
        origin_context=given.get("origin_context"), payment_intent=None, payment_link=None,
        payment_method_collection=given.get("payment_method_collection", "if_required"),
        payment_method_configuration_details=None, payment_method_options={},
        payment_method_types=["card"], payment_status="unpaid", permissions=None,
        phone_number_collection=given.get("phone_number_collection", {"enabled": False}),
        recovered_from=None, saved_payment_method_options=None, setup_intent=None,
        shipping_address_collection=None, shipping_cost=None, shipping_options=[], status="open",
        submit_type=given.get("submit_type"), subscription=None, success_url=given["success_url"],
        tax_id_collection=None, wallet_options=None, ui_mode="hosted_page",
        total_details={"amount_discount": 0, "amount_shipping": 0,
                       "amount_tax": sum(line["amount_tax"] for line in lines)},
        _lines=lines, _intent_data=given.get("payment_intent_data", {}), _token=secrets.token_urlsafe(18),
    )  # fmt: skip
    session["id"] = f"cs_test_{secrets.token_hex(24)}"
    session["url"] = f"{call.store.public_base_url}/sandbox/pay/{session['id']}"
    return session


@includable("checkout.session", "line_items")
def _line_items(store: Store, session: Object) -> Object:
    return whole(session["_lines"], f"/v1/checkout/sessions/{session['id']}/line_items")


@route("GET", "/v1/checkout/sessions/ID", Shape(expand=EXPAND))
def retrieve_session(call: Call) -> Object:
    return expire_if_due(call.store, call.store.get("checkout.session", call.id))


@route("POST", "/v1/checkout/sessions/ID", Shape(metadata=metadata, expand=EXPAND))
def update_session(call: Call) -> Object:
    return updated(call, call.store.get("checkout.session", call.id), None)


@route("GET", "/v1/checkout/sessions/ID/line_items", page_shape())
def list_line_items(call: Call) -> Object:
    return paged(call.given, call.store.get("checkout.session", call.id)["_lines"], call.path)


@route(
    "GET", "/v1/checkout/sessions",
    list_shape(customer=identifier, payment_intent=identifier, subscription=identifier,
               status=one_of("open", "complete", "expired"), customer_details=Shape(("email",), email=email)),
)  # fmt: skip
def list_sessions(call: Call) -> Object:
    expire_due(call.store)
    query = Query()
    if "customer_details" in call.given:
        query = query.where("$.customer_details.email", call.given["customer_details"]["email"])
    names = ("customer", "payment_intent", "status", "subscription")
    return page(call, "checkout.session", *names, query=query)


@route("POST", "/v1/checkout/sessions/ID/expire", Shape(expand=EXPAND))
def expire_session(call: Call) -> Object:
    session = call.store.get("checkout.session", call.id)
    if session["status"] != "open":
        raise invalid(f"Only Checkout Sessions with a status in ['open'] can be expired. This Checkout Session "
                      f"has a status of {session['status']}.")  # fmt: skip
    return _expire(call.store, session)


def expire_due(store: Store) -> int:
    """Expire every open session whose time is over; return how many."""
    overdue = Query(("json_extract(body, '$.status') = 'open'", "json_extract(body, '$.expires_at') <= ?"),
                    (store.now(),))  # fmt: skip
    sessions = store.select("checkout.session", overdue)
    for session in sessions:
        expire_if_due(store, session)
    return len(sessions)


def expire_if_due(store: Store, session: Object) -> Object:
    """An open session past its time is expired by whoever looks first."""
    if session["status"] == "open" and store.now() >= session["expires_at"]:
        with store.change():
            session = store.get("checkout.session", session["id"])
            return _expire(store, session) if session["status"] == "open" else session
    return session


def _expire(store: Store, session: Object) -> Object:
    intent = store.find("payment_intent", session["payment_intent"])
    if intent is not None and intent["status"] not in ("canceled", "succeeded", "processing"):
        cancel(store, intent, "expired")
    session |= {"status": "expired", "url": None}
    store.put(session)
    store.tell("checkout.session.expired", session)
    return session


def pay_checkout(
    store: Store, session_id: str, card: str = GOOD_CARD, *, authenticated: bool = False,
    email: str | None = None, event_copies: int = 1,
) -> Object:  # fmt: skip
    """What the hosted page does on "Pay": the session afterwards, or its intent's refusal in ``_refusal``.

    ``authenticated``: 3-D Secure was passed. ``event_copies`` tells completion under several event ids.
    Raises StripeProblem where the session is not open or the card is no test card.
    """
    chosen = card_of(card)
    if chosen is None:
        raise invalid(f"{card} is no test card.", "number", "incorrect_number")
    with store.change():
        session = _open_session(store, session_id)
        _take_customer(store, session, email)
        intent = _intent(store, session)
        method = new_method(store, chosen)
        intent = confirm_intent(store, intent, method, authenticated=authenticated)
        if intent["status"] in ("succeeded", "processing"):
            return _complete(store, session, intent, event_copies)
        store.put(session)
        error = intent["last_payment_error"] if intent["status"] != "requires_action" else None
        return session | {"_refusal": error["message"] if error else "requires_action"}


def refuse_authentication(store: Store, session_id: str) -> Object:
    """The customer failed 3-D Secure on the hosted page: the attempt is over, the session stays open."""
    with store.change():
        session = _open_session(store, session_id)
        intent = store.find("payment_intent", session["payment_intent"])
        if intent is not None and intent["status"] == "requires_action":
            fail_authentication(store, intent)
        return session


def _open_session(store: Store, session_id: str) -> Object:
    session = expire_if_due(store, store.get("checkout.session", session_id))
    if session["status"] != "open":
        raise StripeProblem(400, "invalid_request_error", f"This Checkout Session is {session['status']}.")
    return session


def _take_customer(store: Store, session: Object, email: str | None) -> None:
    customer = store.find("customer", session["customer"])
    before = (session["customer_details"] or {}).get("email")
    known = (customer or {}).get("email") or session["customer_email"] or email or before
    keeps = session["_intent_data"].get("setup_future_usage")
    if customer is None and (session["customer_creation"] == "always" or keeps):
        customer = new_customer(store, {"email": known})
        store.tell("customer.created", customer)
        session["customer"] = customer["id"]
    session["customer_details"] = {
        "address": None, "business_name": None, "email": known, "individual_name": None,
        "name": (customer or {}).get("name"), "phone": None, "tax_exempt": "none", "tax_ids": [],
    }  # fmt: skip


def _intent(store: Store, session: Object) -> Object:
    """No payment intent exists until the customer pays."""
    intent = store.find("payment_intent", session["payment_intent"])
    if intent is None:
        data: dict[str, Any] = session["_intent_data"]
        intent = new_intent(
            store, session["amount_total"], session["currency"], customer=session["customer"], **data
        )
        intent["_session"] = session["id"]
        session["payment_intent"] = store.put(intent)["id"]
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
        intent = store.get("payment_intent", session["payment_intent"] or "")
        if intent["status"] != "processing":
            raise invalid(f"This payment is {intent['status']}; nothing is to settle.")
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

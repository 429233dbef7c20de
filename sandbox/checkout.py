"""Checkout Sessions: the calls, and sessions whose time is over."""

import secrets

from sandbox.changes import merged_metadata, updated
from sandbox.connect import TRANSFER_DATA, require_connect
from sandbox.coupons import coupon_of
from sandbox.line_items import LINE_ITEM, new_line
from sandbox.lists import page, paged, whole
from sandbox.lookups import living_customer
from sandbox.methods import no_method_types
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
from sandbox.payments import cancel, require_amount
from sandbox.problems import invalid
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
    transfer_data=TRANSFER_DATA,
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
    ("mode", "success_url"), mode=one_of("payment", "setup", "subscription"),
    line_items=list_of(LINE_ITEM), customer=identifier,
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
    setup_intent_data=Shape(description=string, metadata=metadata),
    submit_type=one_of("auto", "book", "donate", "pay", "subscribe"), success_url=address,
    subscription_data=Shape(description=string, metadata=metadata,
                            proration_behavior=one_of("create_prorations", "none")),
    tax_id_collection=Shape(("enabled",), enabled=boolean, required=one_of("if_supported", "never")),
    ui_mode=one_of("hosted_page"), wallet_options=Shape(link=Shape(display=_UPDATE)),
)  # fmt: skip


# Parameters that only some modes know.
_ONLY_IN = {
    "setup_intent_data": ("setup",), "subscription_data": ("subscription",), "discounts": ("payment", "subscription"),
    "invoice_creation": ("payment",), "payment_intent_data": ("payment",), "submit_type": ("payment", "subscription"),
    "line_items": ("payment", "subscription"), "customer_creation": ("payment", "setup"),
    "allow_promotion_codes": ("payment", "subscription"), "automatic_tax": ("payment", "subscription"),
}  # fmt: skip


@route("POST", "/v1/checkout/sessions", _SESSION)
def create_session(call: Call) -> Object:
    given, mode = call.given, call.given["mode"]
    for name, modes in _ONLY_IN.items():
        if name in given and mode not in modes:
            raise invalid(f"You can not pass `{name}` in `{mode}` mode.", name)
    _require_customer(call)
    if mode == "setup":
        if "currency" not in given:
            raise invalid("`currency` is required in setup mode.", "currency", "parameter_missing")
        return call.store.put(_session(call, [], None))
    if not given.get("line_items"):
        raise invalid(f"You must provide line_items in {mode} mode.", "line_items", "parameter_missing")
    if len(given["line_items"]) > MOST_LINES:
        raise invalid("There can be at most 100 line items.", "line_items")
    lines = _lines(call)
    total = sum(line["amount_total"] for line in lines)
    require_connect(call.store, given.get("payment_intent_data", {}), total, "payment_intent_data")
    return call.store.put(_session(call, lines, coupon_of(call.store, given.get("discounts", []))))


def _lines(call: Call) -> list[Object]:
    """The lines of a session. Raises StripeProblem where they do not go together."""
    given, mode = call.given, call.given["mode"]
    is_taxed = given.get("automatic_tax", {}).get("enabled", False)
    coupon = coupon_of(call.store, given.get("discounts", []))
    lines = [
        new_line(call, item, index, mode=mode, is_taxed=is_taxed, coupon=coupon)
        for index, item in enumerate(given["line_items"])
    ]
    wanted = {line["currency"] for line in lines} | ({given["currency"]} if "currency" in given else set())
    if len(wanted) > 1:
        raise invalid("All line items must have the same currency.", "line_items")
    total = sum(line["amount_total"] for line in lines)
    if mode == "payment" or total:
        require_amount(total, wanted.pop(), "line_items")
    if mode == "subscription" and len(lines) > 1:
        raise invalid("The sandbox knows subscriptions of one item.", "line_items")
    return lines


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


def _session(call: Call, lines: list[Object], coupon: Object | None) -> Object:
    given, mode, now = call.given, call.given["mode"], call.store.now()
    expires_at = given.get("expires_at", now + DAY_SECONDS)
    if not now + SHORTEST_SECONDS - LEEWAY_SECONDS <= expires_at <= now + DAY_SECONDS + LEEWAY_SECONDS:
        raise invalid("The `expires_at` timestamp must be between 30 minutes and 24 hours from now.",
                      "expires_at")  # fmt: skip
    invoice = given.get("invoice_creation", {"enabled": False})
    tax = given.get("automatic_tax", {}).get("enabled", False)
    session = call.store.new(
        "checkout.session", "cs_test", adaptive_pricing=given.get("adaptive_pricing"),
        after_expiration=None, allow_promotion_codes=given.get("allow_promotion_codes"),
        amount_subtotal=sum(line["amount_subtotal"] for line in lines) if lines else None,
        amount_total=sum(line["amount_total"] for line in lines) if lines else None,
        automatic_tax={"enabled": tax, "liability": {"type": "self"} if tax else None,
                       "provider": "stripe" if tax else None, "status": "complete" if tax else None},
        billing_address_collection=given.get("billing_address_collection"),
        cancel_url=given.get("cancel_url"), client_reference_id=given.get("client_reference_id"),
        client_secret=None, collected_information=None, consent=None, consent_collection=None,
        currency=lines[0]["currency"] if lines else given["currency"], currency_conversion=None, custom_fields=[],
        custom_text=EMPTY_CUSTOM_TEXT | given.get("custom_text", {}), customer=given.get("customer"),
        customer_creation=None if "customer" in given or mode == "subscription"
        else given.get("customer_creation", "if_required"),
        customer_details=None, customer_email=given.get("customer_email"),
        discounts=[{"coupon": coupon["id"], "promotion_code": None}] if coupon else [],
        expires_at=expires_at, invoice=None, locale=given.get("locale"),
        invoice_creation={"enabled": invoice["enabled"],
                          "invoice_data": EMPTY_INVOICE_DATA | invoice.get("invoice_data", {})}
        if mode == "payment" else None,
        metadata=merged_metadata({}, given.get("metadata", {})), mode=mode,
        origin_context=given.get("origin_context"), payment_intent=None, payment_link=None,
        payment_method_collection=given.get(
            "payment_method_collection", "always" if mode == "subscription" else "if_required"),
        payment_method_configuration_details=None, payment_method_options={},
        payment_method_types=["card"], permissions=None,
        payment_status="no_payment_required" if mode == "setup" else "unpaid",
        phone_number_collection=given.get("phone_number_collection", {"enabled": False}),
        recovered_from=None, saved_payment_method_options=None, setup_intent=None,
        shipping_address_collection=None, shipping_cost=None, shipping_options=[], status="open",
        submit_type=given.get("submit_type"), subscription=None, success_url=given["success_url"],
        tax_id_collection=None, wallet_options=None, ui_mode="hosted_page",
        total_details={"amount_discount": sum(line["amount_discount"] for line in lines), "amount_shipping": 0,
                       "amount_tax": sum(line["amount_tax"] for line in lines)} if lines else None,
        _lines=lines, _token=secrets.token_urlsafe(18), _intent=None,
        _intent_data=given.get("payment_intent_data", {}) if mode == "payment" else {},
        _data=given.get("subscription_data", given.get("setup_intent_data", {})),
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
    overdue = Query((
        "kind = 'checkout.session'", "json_extract(body, '$.status') = 'open'",
        "json_extract(body, '$.expires_at') <= ?",
    ), (store.now(),), "objects_open")  # fmt: skip
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
    intent = store.find("payment_intent", session["_intent"])
    if intent is not None and intent["status"] not in ("canceled", "succeeded", "processing"):
        cancel(store, intent, "expired")
    session |= {"status": "expired", "url": None}
    store.put(session)
    store.tell("checkout.session.expired", session)
    return session

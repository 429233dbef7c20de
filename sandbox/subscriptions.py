"""The calls on subscriptions."""

from typing import Any

from sandbox.changes import merged_metadata, updated
from sandbox.changing import Change, change_price, payment_refused
from sandbox.coupons import coupon_of
from sandbox.lists import page
from sandbox.lookups import living_customer
from sandbox.methods import usable_method
from sandbox.parameters import (
    EXPAND,
    Shape,
    boolean,
    identifier,
    integer,
    list_of,
    list_shape,
    metadata,
    one_of,
    positive,
    string,
)
from sandbox.problems import StripeProblem, invalid
from sandbox.routing import Call, route
from sandbox.searching import SEARCH, search
from sandbox.shapes import ISSUER
from sandbox.store import Object, Query, Store
from sandbox.subscribing import (
    bill_period,
    cancelling,
    change_status,
    charge_subscription,
    end_subscription,
    item_of,
    new_discount,
    new_subscription,
)

PAYMENT_BEHAVIOR = one_of(
    "allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete"
)
PRORATION = one_of("always_invoice", "create_prorations", "none")
DISCOUNTS = list_of(Shape(coupon=identifier, discount=identifier, promotion_code=identifier))
PAYMENT_SETTINGS = Shape(save_default_payment_method=one_of("off", "on_subscription"))
_AUTOMATIC_TAX = Shape(("enabled",), enabled=boolean, liability=ISSUER)
_DETAILS = Shape(
    comment=string,
    feedback=one_of(
        "", "customer_service", "low_quality", "missing_features", "other", "switched_service",
        "too_complex", "too_expensive", "unused",
    ),
)  # fmt: skip
# What a change that waits for its payment may be made of.
WITH_PENDING = {"items", "payment_behavior", "proration_behavior", "proration_date", "expand", "off_session"}
CHANGEABLE = ("active", "past_due", "trialing")


@route(
    "POST", "/v1/subscriptions",
    Shape(("customer", "items"), customer=identifier, items=list_of(Shape(price=identifier, quantity=positive)),
          automatic_tax=_AUTOMATIC_TAX, collection_method=one_of("charge_automatically"),
          default_payment_method=identifier, description=string, discounts=DISCOUNTS, expand=EXPAND,
          metadata=metadata, off_session=boolean, payment_behavior=PAYMENT_BEHAVIOR,
          payment_settings=PAYMENT_SETTINGS, proration_behavior=PRORATION),
)  # fmt: skip
def create_subscription(call: Call) -> Object:
    given, store = call.given, call.store
    customer = living_customer(store, given["customer"])
    price, quantity = _wanted(store, given["items"])
    behavior = given.get("payment_behavior", "allow_incomplete")
    if behavior == "pending_if_incomplete":
        raise invalid("payment_behavior=pending_if_incomplete is for updates.", "payment_behavior")
    if "default_payment_method" in given:
        _require_own(store, given["default_payment_method"], customer["id"])
    coupon = coupon_of(store, given.get("discounts", []))
    subscription = new_subscription(
        store, customer, price, quantity, status="incomplete", description=given.get("description"),
        metadata=merged_metadata({}, given.get("metadata", {})),
        method_id=given.get("default_payment_method"), taxed=given.get("automatic_tax", {}).get("enabled", False),
        payment_settings=given.get("payment_settings"),
    )  # fmt: skip
    if coupon:
        subscription["discounts"] = [new_discount(store, coupon, subscription["id"], customer["id"])["id"]]
        store.put(subscription)
    store.tell("customer.subscription.created", subscription)
    subscription, invoice = bill_period(store, subscription, "subscription_create")
    if behavior != "default_incomplete":
        off_session = given.get("off_session", False)
        invoice = charge_subscription(store, subscription, invoice, off_session=off_session)
        if invoice["status"] == "open" and behavior == "error_if_incomplete":
            raise payment_refused(store, invoice)
    return store.get("subscription", subscription["id"])


def _wanted(store: Store, items: list[dict[str, Any]], name: str = "items") -> tuple[Object, int]:
    """The price and quantity that a call asks for. Raises StripeProblem."""
    if len(items) != 1:
        raise invalid("The sandbox knows subscriptions of one item.", name)
    if "price" not in items[0]:
        raise invalid(f"Missing required param: {name}[0][price].", f"{name}[0][price]", "parameter_missing")
    price = store.get("price", items[0]["price"], f"{name}[0][price]")
    if price["type"] != "recurring":
        raise invalid(f"The price specified is set to `type=one_time`: {price['id']}.", f"{name}[0][price]")
    if not price["active"]:
        raise invalid(f"The price specified is inactive: {price['id']}.", f"{name}[0][price]")
    return price, items[0].get("quantity", 1)


def _require_own(store: Store, method_id: str, customer_id: str) -> None:
    method = usable_method(store, method_id, customer_id, "default_payment_method")
    if method["customer"] != customer_id:
        raise invalid(f"The customer does not have a payment method with the ID {method_id}. The payment "
                      "method must be attached to the customer.", "default_payment_method",
                      "resource_missing")  # fmt: skip


@route("GET", "/v1/subscriptions/ID", Shape(expand=EXPAND))
def retrieve_subscription(call: Call) -> Object:
    return call.store.get("subscription", call.id)


@route(
    "POST", "/v1/subscriptions/ID",
    Shape(cancel_at_period_end=boolean, cancellation_details=_DETAILS, default_payment_method=identifier,
          description=string, expand=EXPAND, metadata=metadata,
          items=list_of(Shape(id=identifier, price=identifier, quantity=positive)), off_session=boolean,
          payment_behavior=PAYMENT_BEHAVIOR, payment_settings=PAYMENT_SETTINGS, proration_behavior=PRORATION,
          proration_date=integer),
)  # fmt: skip
def update_subscription(call: Call) -> Object:
    given, store = call.given, call.store
    subscription = store.get("subscription", call.id)
    if subscription["status"] in ("canceled", "incomplete_expired"):
        raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
    if given.get("payment_behavior") == "pending_if_incomplete" and set(given) - WITH_PENDING:
        raise invalid("Unsupported parameter with payment_behavior=pending_if_incomplete: "
                      f"{', '.join(sorted(set(given) - WITH_PENDING))}.")  # fmt: skip
    if subscription["pending_update"] and "items" in given:
        raise invalid("This subscription has a pending update; pay or void its invoice first.", "items")
    if "default_payment_method" in given:
        _require_own(store, given["default_payment_method"], subscription["customer"])
    change = change_of(store, subscription, given) if "items" in given else None
    names = ("cancellation_details", "default_payment_method", "description", "metadata", "payment_settings")
    plain = {name: value for name, value in given.items() if name in names}
    if (
        given.get("cancel_at_period_end", subscription["cancel_at_period_end"])
        != (subscription["cancel_at_period_end"])
    ):
        plain |= cancelling(store, subscription, ends=given["cancel_at_period_end"])
    call.given = plain
    subscription = updated(call, subscription, "customer.subscription.updated")
    return change_price(store, subscription, change) if change else subscription


def change_of(store: Store, subscription: Object, given: dict[str, Any], name: str = "items") -> Change:
    """The change that a call asks for. Raises StripeProblem."""
    if subscription["status"] not in CHANGEABLE:
        raise invalid(f"This subscription is {subscription['status']}; its items cannot change.", name)
    items, item = given["items"], item_of(subscription)
    if items and items[0].get("id") not in (None, item["id"]):
        raise invalid(f"Invalid subscription item: {items[0]['id']}", f"{name}[0][id]", "resource_missing")
    if items and "id" not in items[0]:
        raise invalid("Name the item: without its id another one would be added, and the sandbox knows "
                      "subscriptions of one item.", f"{name}[0][id]", "parameter_missing")  # fmt: skip
    asked = [{"price": item["price"]["id"], **part} for part in items]
    price, quantity = _wanted(store, asked, name)
    return Change(
        price, quantity, given.get("proration_behavior", "create_prorations"),
        given.get("payment_behavior", "allow_incomplete"), given.get("proration_date", store.now()),
        given.get("off_session", False),
    )  # fmt: skip


@route(
    "DELETE", "/v1/subscriptions/ID",
    Shape(cancellation_details=_DETAILS, expand=EXPAND, invoice_now=boolean, prorate=boolean),
)  # fmt: skip
def cancel_subscription(call: Call) -> Object:
    subscription = call.store.get("subscription", call.id)
    if subscription["status"] in ("canceled", "incomplete_expired"):
        raise StripeProblem(404, "invalid_request_error", f"No such subscription: '{call.id}'", param="id",
                            code="resource_missing")  # fmt: skip
    for name in ("invoice_now", "prorate"):
        if call.given.get(name):
            raise invalid("The sandbox ends subscriptions without a last invoice.", name)
    subscription["cancellation_details"] |= call.given.get("cancellation_details", {})
    if subscription["status"] == "incomplete":
        return change_status(call.store, subscription, "incomplete_expired", ended_at=call.store.now())
    return end_subscription(call.store, subscription, "cancellation_requested")


@route("GET", "/v1/subscriptions/search", SEARCH)
def search_subscriptions(call: Call) -> Object:
    return search(call, "subscription", {"created": "$.created", "status": "$.status"})


@route(
    "GET", "/v1/subscriptions",
    list_shape(customer=identifier, price=identifier,
               status=one_of("active", "all", "canceled", "ended", "incomplete", "incomplete_expired",
                             "past_due", "trialing", "unpaid")),
)  # fmt: skip
def list_subscriptions(call: Call) -> Object:
    """Those that are not over, unless ``status`` says otherwise."""
    status, query = call.given.pop("status", None), Query()
    if status == "ended":
        query = query.any_of("$.status", ["canceled", "incomplete_expired"])
    elif status is None:
        query = query.also("json_extract(body, '$.status') NOT IN ('canceled', 'incomplete_expired')")
    elif status != "all":
        query = query.where("$.status", status)
    if "price" in call.given:
        query = query.where("$.items.data[0].price.id", call.given["price"])
    return page(call, "subscription", "customer", query=query)

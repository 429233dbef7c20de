"""Customers, products and prices."""

from typing import Any

from sandbox.parameters import (
    EXPAND,
    Shape,
    anything,
    boolean,
    currency,
    list_of,
    list_shape,
    metadata,
    not_negative,
    one_of,
    positive,
    string,
)
from sandbox.problems import invalid
from sandbox.routing import Call, page, route

_CUSTOMER = {
    "address": anything, "description": string, "email": string, "expand": EXPAND,
    "invoice_prefix": string, "invoice_settings": anything, "metadata": metadata, "name": string,
    "phone": string, "preferred_locales": list_of(string), "shipping": anything,
    "tax": anything, "tax_exempt": one_of("none", "exempt", "reverse"),
}  # fmt: skip
_RECURRING = Shape(
    ("interval",), interval=one_of("day", "week", "month", "year"), interval_count=positive,
    usage_type=one_of("licensed", "metered"),
)  # fmt: skip
_PRODUCT = {
    "active": boolean, "description": string, "expand": EXPAND, "images": list_of(string),
    "metadata": metadata, "name": string, "statement_descriptor": string, "tax_code": string,
    "unit_label": string, "url": string, "marketing_features": anything, "shippable": boolean,
}  # fmt: skip
PRODUCT_DATA = Shape(
    ("name",), name=string, description=string, metadata=metadata, images=list_of(string), tax_code=string,
    unit_label=string,
)  # fmt: skip


def merged_metadata(before: dict[str, str], change: dict[str, str]) -> dict[str, str]:
    """Keys are added and replaced; an empty value unsets one."""
    return {key: value for key, value in (before | change).items() if value != ""}


@route("POST", "/v1/customers", Shape(payment_method=string, **_CUSTOMER))
def create_customer(call: Call) -> dict[str, Any]:
    given = call.given
    customer = call.store.new(
        "customer", "cus", address=given.get("address"), balance=0, currency=None, default_source=None,
        delinquent=False, description=given.get("description"), email=given.get("email"),
        invoice_prefix=given.get("invoice_prefix"), metadata=merged_metadata({}, given.get("metadata", {})),
        name=given.get("name"), phone=given.get("phone"), shipping=given.get("shipping"),
        preferred_locales=given.get("preferred_locales", []), tax_exempt=given.get("tax_exempt", "none"),
        next_invoice_sequence=1, test_clock=None,
        invoice_settings={"custom_fields": None, "default_payment_method": None, "footer": None,
                          "rendering_options": None},
    )  # fmt: skip
    call.store.put(customer)
    call.store.tell("customer.created", customer)
    return customer


@route("GET", "/v1/customers/ID", Shape(expand=EXPAND))
def retrieve_customer(call: Call) -> dict[str, Any]:
    return call.store.get("customer", call.id)


@route("POST", "/v1/customers/ID", Shape(**_CUSTOMER, default_source=string))
def update_customer(call: Call) -> dict[str, Any]:
    customer = _living_customer(call)
    return _updated(call, customer, "customer.updated")


@route("DELETE", "/v1/customers/ID", Shape())
def delete_customer(call: Call) -> dict[str, Any]:
    customer = _living_customer(call)
    gone = {"id": customer["id"], "object": "customer", "deleted": True}
    call.store.put(gone)
    call.store.tell("customer.deleted", customer)
    return gone


@route("GET", "/v1/customers", list_shape(email=string))
def list_customers(call: Call) -> dict[str, Any]:
    return page(call, "customer", lambda item: not item.get("deleted"), "email")


def _living_customer(call: Call) -> dict[str, Any]:
    customer = call.store.get("customer", call.id)
    if customer.get("deleted"):
        raise invalid(f"No such customer: '{call.id}'", "customer", "resource_missing")
    return customer


def _updated(call: Call, item: dict[str, Any], event_type: str) -> dict[str, Any]:
    """Apply an update's parameters and tell of it."""
    for name, value in call.given.items():
        if name == "expand":
            continue
        if name == "metadata":
            value = merged_metadata(item["metadata"], value)
        elif isinstance(item.get(name), dict) and isinstance(value, dict):
            value = item[name] | value
        item[name] = None if value == "" else value
    if "updated" in item:
        item["updated"] = call.store.now()
    call.store.put(item)
    call.store.tell(event_type, item)
    return item


@route("POST", "/v1/products", Shape(("name",), id=string, **_PRODUCT))
def create_product(call: Call) -> dict[str, Any]:
    return new_product(call, call.given)


def new_product(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """A product from parameters; also for prices that bring their product's data."""
    product = call.store.new(
        "product", "prod", active=given.get("active", True), default_price=None,
        description=given.get("description"), images=given.get("images", []), marketing_features=[],
        metadata=merged_metadata({}, given.get("metadata", {})), name=given["name"],
        package_dimensions=None, shippable=given.get("shippable"), statement_descriptor=None,
        tax_code=given.get("tax_code"), type="service", unit_label=given.get("unit_label"),
        updated=call.store.now(), url=given.get("url"),
    )  # fmt: skip
    if given.get("id"):
        if call.store.find("product", given["id"]):
            raise invalid("Product already exists.", "id", "resource_already_exists")
        product["id"] = given["id"]
    call.store.put(product)
    call.store.tell("product.created", product)
    return product


@route("GET", "/v1/products/ID", Shape(expand=EXPAND))
def retrieve_product(call: Call) -> dict[str, Any]:
    return call.store.get("product", call.id)


@route("POST", "/v1/products/ID", Shape(default_price=string, **_PRODUCT))
def update_product(call: Call) -> dict[str, Any]:
    return _updated(call, call.store.get("product", call.id), "product.updated")


@route("GET", "/v1/products", list_shape(active=boolean, ids=list_of(string), url=string))
def list_products(call: Call) -> dict[str, Any]:
    ids = call.given.get("ids")
    return page(call, "product", lambda item: not ids or item["id"] in ids, "active", "url")


@route(
    "POST", "/v1/prices",
    Shape(("currency",), active=boolean, billing_scheme=one_of("per_unit", "tiered"), currency=currency,
          expand=EXPAND, lookup_key=string, metadata=metadata, nickname=string, product=string,
          product_data=PRODUCT_DATA, recurring=_RECURRING, tax_behavior=string, transfer_lookup_key=boolean,
          unit_amount=not_negative, unit_amount_decimal=string),
)  # fmt: skip
def create_price(call: Call) -> dict[str, Any]:
    given = call.given
    if ("product" in given) == ("product_data" in given):
        raise invalid("Give either product or product_data.", "product", "parameter_missing")
    if "unit_amount" not in given:
        raise invalid("Missing required param: unit_amount.", "unit_amount", "parameter_missing")
    if "product" in given:
        product_id = call.store.get("product", given["product"], "product")["id"]
    else:
        product_id = new_product(call, given["product_data"])["id"]
    return new_price(call, given, product_id)


def new_price(call: Call, given: dict[str, Any], product_id: str, *, active: bool = True) -> dict[str, Any]:
    """A price from parameters; also for line items that bring their price's data."""
    recurring = given.get("recurring")
    if recurring:
        recurring = {
            "interval_count": 1, "usage_type": "licensed", "meter": None, "trial_period_days": None,
        } | recurring  # fmt: skip
    _free_lookup_key(call, given)
    price = call.store.new(
        "price", "price", active=given.get("active", active), billing_scheme="per_unit",
        currency=given["currency"], custom_unit_amount=None, lookup_key=given.get("lookup_key"),
        metadata=merged_metadata({}, given.get("metadata", {})), nickname=given.get("nickname"),
        product=product_id, recurring=recurring, tax_behavior=given.get("tax_behavior", "unspecified"),
        tiers_mode=None, transform_quantity=None, type="recurring" if recurring else "one_time",
        unit_amount=given["unit_amount"], unit_amount_decimal=str(given["unit_amount"]),
    )  # fmt: skip
    call.store.put(price)
    call.store.tell("price.created", price)
    return price


def _free_lookup_key(call: Call, given: dict[str, Any]) -> None:
    """A lookup key names one price; it moves only where the call says so."""
    key = given.get("lookup_key")
    for other in call.store.all("price") if key else ():
        if other["lookup_key"] == key and other["id"] != call.id:
            if not given.get("transfer_lookup_key"):
                raise invalid(f"A price with the lookup key '{key}' exists already.", "lookup_key")
            call.store.put(other | {"lookup_key": None})


@route("GET", "/v1/prices/ID", Shape(expand=EXPAND))
def retrieve_price(call: Call) -> dict[str, Any]:
    return call.store.get("price", call.id)


@route(
    "POST", "/v1/prices/ID",
    Shape(active=boolean, expand=EXPAND, lookup_key=string, metadata=metadata, nickname=string,
          tax_behavior=string, transfer_lookup_key=boolean),
)  # fmt: skip
def update_price(call: Call) -> dict[str, Any]:
    price = call.store.get("price", call.id)
    _free_lookup_key(call, call.given)
    call.given.pop("transfer_lookup_key", None)
    return _updated(call, price, "price.updated")


@route(
    "GET", "/v1/prices",
    list_shape(active=boolean, currency=currency, lookup_keys=list_of(string), product=string,
               type=one_of("one_time", "recurring"), recurring=anything),
)  # fmt: skip
def list_prices(call: Call) -> dict[str, Any]:
    keys = call.given.get("lookup_keys")
    return page(
        call, "price", lambda item: not keys or item["lookup_key"] in keys,
        "active", "currency", "product", "type",
    )  # fmt: skip

"""Products and prices."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.changes import merged_metadata, updated
from sandbox.lists import page
from sandbox.parameters import (
    EXPAND,
    Shape,
    address,
    boolean,
    currency,
    decimal,
    identifier,
    list_of,
    list_shape,
    metadata,
    not_negative,
    one_of,
    positive,
    string,
)
from sandbox.problems import invalid
from sandbox.routing import Call, route
from sandbox.shapes import TAX_BEHAVIOR
from sandbox.store import Object, Query, Store

INTERVAL = one_of("day", "week", "month", "year")
RECURRING = Shape(
    ("interval",), interval=INTERVAL, interval_count=positive,
    trial_period_days=positive, usage_type=one_of("licensed", "metered"),
)  # fmt: skip
# Of prices that come with something else.
INLINE_RECURRING = Shape(("interval",), interval=INTERVAL, interval_count=positive)
_PRODUCT = {
    "active": boolean, "description": string, "expand": EXPAND, "images": list_of(string),
    "marketing_features": list_of(Shape(("name",), name=string)), "metadata": metadata, "name": identifier,
    "shippable": boolean, "statement_descriptor": string, "tax_code": string, "unit_label": string,
    "url": address,
}  # fmt: skip
PRODUCT_DATA = Shape(
    ("name",), name=identifier, description=string, metadata=metadata, images=list_of(string),
    tax_code=string, unit_label=string,
)  # fmt: skip
_PRICE_PRODUCT_DATA = Shape(
    ("name",), active=boolean, id=identifier, name=identifier, metadata=metadata,
    statement_descriptor=string, tax_code=string, unit_label=string,
)  # fmt: skip
_DEFAULT_PRICE_DATA = Shape(
    ("currency",), currency=currency, metadata=metadata, recurring=INLINE_RECURRING,
    tax_behavior=TAX_BEHAVIOR, unit_amount=not_negative, unit_amount_decimal=decimal,
)  # fmt: skip


@route(
    "POST", "/v1/products",
    Shape(("name",), id=identifier, type=one_of("service", "good"), default_price_data=_DEFAULT_PRICE_DATA,
          **_PRODUCT),
)  # fmt: skip
def create_product(call: Call) -> Object:
    product = new_product(call.store, call.given)
    if "default_price_data" in call.given:
        data = call.given["default_price_data"]
        require_amount(data, "default_price_data[unit_amount]")
        product["default_price"] = new_price(call.store, data, product["id"])["id"]
        call.store.put(product)
    return product


def new_product(store: Store, given: dict[str, Any]) -> Object:
    """A product from parameters; also for prices that bring their product's data."""
    if given.get("id") and store.find("product", given["id"]):
        raise invalid("Product already exists.", "id", "resource_already_exists")
    product = store.new(
        "product", "prod", active=given.get("active", True), default_price=None,
        description=given.get("description"), images=given.get("images", []),
        marketing_features=given.get("marketing_features", []),
        metadata=merged_metadata({}, given.get("metadata", {})), name=given["name"],
        package_dimensions=None, shippable=given.get("shippable"),
        statement_descriptor=given.get("statement_descriptor"), tax_code=given.get("tax_code"),
        type=given.get("type", "service"), unit_label=given.get("unit_label"), updated=store.now(),
        url=given.get("url"),
    )  # fmt: skip
    if given.get("id"):
        product["id"] = given["id"]
    store.put(product)
    store.tell("product.created", product)
    return product


@route("GET", "/v1/products/ID", Shape(expand=EXPAND))
def retrieve_product(call: Call) -> Object:
    return call.store.get("product", call.id)


@route("POST", "/v1/products/ID", Shape(default_price=identifier, **_PRODUCT))
def update_product(call: Call) -> Object:
    product = call.store.get("product", call.id)
    default = call.given.get("default_price")
    if default and call.store.get("price", default, "default_price")["product"] != call.id:
        raise invalid("The default price must belong to the product.", "default_price")
    return updated(call, product, "product.updated")


@route("DELETE", "/v1/products/ID", Shape())
def delete_product(call: Call) -> Object:
    product = call.store.get("product", call.id)
    if call.store.select("price", Query().where("$.product", call.id), limit=1):
        raise invalid("This product cannot be deleted because it has one or more user-created prices.")
    call.store.remove(call.id)
    call.store.tell("product.deleted", product)
    return {"id": product["id"], "object": "product", "deleted": True}


@route(
    "GET", "/v1/products",
    list_shape(active=boolean, ids=list_of(identifier), shippable=boolean, type=one_of("service", "good"),
               url=string),
)  # fmt: skip
def list_products(call: Call) -> Object:
    ids = call.given.get("ids")
    query = Query().any_of("$.id", ids) if ids else Query()
    return page(call, "product", "active", "shippable", "type", "url", query=query)


@route(
    "POST", "/v1/prices",
    Shape(("currency",), active=boolean, billing_scheme=one_of("per_unit"), currency=currency,
          expand=EXPAND, lookup_key=string, metadata=metadata, nickname=string, product=identifier,
          product_data=_PRICE_PRODUCT_DATA, recurring=RECURRING, tax_behavior=TAX_BEHAVIOR,
          transfer_lookup_key=boolean, unit_amount=not_negative, unit_amount_decimal=decimal),
)  # fmt: skip
def create_price(call: Call) -> Object:
    given, store = call.given, call.store
    require_amount(given, "unit_amount")
    if ("product" in given) == ("product_data" in given):
        raise invalid("Give either product or product_data.", "product", "parameter_missing")
    _free_lookup_key(call)
    if "product" in given:
        product_id = store.get("product", given["product"], "product")["id"]
    else:
        product_id = new_product(store, given["product_data"])["id"]
    return new_price(store, given, product_id)


def require_amount(given: dict[str, Any], name: str) -> None:
    """A price has either ``unit_amount`` or ``unit_amount_decimal``. Raises StripeProblem."""
    if "unit_amount" in given and "unit_amount_decimal" in given:
        raise invalid("You may only specify one of these parameters: unit_amount, unit_amount_decimal.", name)
    if "unit_amount" not in given and "unit_amount_decimal" not in given:
        raise invalid(f"Missing required param: {name}.", name, "parameter_missing")


def new_price(store: Store, given: dict[str, Any], product_id: str, *, active: bool = True) -> Object:
    """A price from parameters; also for line items that bring their price's data."""
    recurring = given.get("recurring")
    if recurring:
        recurring = {
            "interval_count": 1, "usage_type": "licensed", "meter": None, "trial_period_days": None,
        } | recurring  # fmt: skip
    exact = Decimal(given.get("unit_amount_decimal", given.get("unit_amount", 0)))
    price = store.new(
        "price", "price", active=given.get("active", active), billing_scheme="per_unit",
        currency=given["currency"], custom_unit_amount=None, lookup_key=given.get("lookup_key") or None,
        metadata=merged_metadata({}, given.get("metadata", {})), nickname=given.get("nickname"),
        product=product_id, recurring=recurring, tax_behavior=given.get("tax_behavior", "unspecified"),
        tiers_mode=None, transform_quantity=None, type="recurring" if recurring else "one_time",
        unit_amount=int(exact) if exact == int(exact) else None, unit_amount_decimal=f"{exact:f}",
    )  # fmt: skip
    store.put(price)
    store.tell("price.created", price)
    return price


def amount_of(price: Object, quantity: int) -> int:
    """What a quantity costs, rounded half up."""
    return int((Decimal(price["unit_amount_decimal"]) * quantity).quantize(Decimal(1), ROUND_HALF_UP))


def _free_lookup_key(call: Call) -> None:
    """A lookup key names one price; it moves only where the call says so."""
    key = call.given.get("lookup_key")
    holders = call.store.select("price", Query().where("$.lookup_key", key)) if key else []
    for other in holders:
        if other["id"] == call.id:
            continue
        if not call.given.get("transfer_lookup_key"):
            raise invalid(f"A price with the lookup key '{key}' exists already.", "lookup_key")
        call.store.put(other | {"lookup_key": None})
        call.store.tell("price.updated", other | {"lookup_key": None}, before={"lookup_key": key})


@route("GET", "/v1/prices/ID", Shape(expand=EXPAND))
def retrieve_price(call: Call) -> Object:
    return call.store.get("price", call.id)


@route(
    "POST", "/v1/prices/ID",
    Shape(active=boolean, expand=EXPAND, lookup_key=string, metadata=metadata, nickname=string,
          tax_behavior=TAX_BEHAVIOR, transfer_lookup_key=boolean),
)  # fmt: skip
def update_price(call: Call) -> Object:
    price = call.store.get("price", call.id)
    _free_lookup_key(call)
    return updated(call, price, "price.updated")


@route(
    "GET", "/v1/prices",
    list_shape(active=boolean, currency=currency, lookup_keys=list_of(identifier), product=identifier,
               type=one_of("one_time", "recurring"),
               recurring=Shape(interval=one_of("day", "week", "month", "year"),
                               usage_type=one_of("licensed", "metered"))),
)  # fmt: skip
def list_prices(call: Call) -> Object:
    query, keys = Query(), call.given.get("lookup_keys")
    if keys:
        if len(keys) > 10:
            raise invalid("You can give at most 10 lookup keys.", "lookup_keys")
        query = query.any_of("$.lookup_key", keys)
    for name, value in call.given.get("recurring", {}).items():
        query = query.where(f"$.recurring.{name}", value)
    return page(call, "price", "active", "currency", "product", "type", query=query)

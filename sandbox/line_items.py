"""What a Checkout Session sells: its line items, their amounts and tax."""

from typing import Any

from sandbox.billing import discounted, tax_on
from sandbox.catalog import INLINE_RECURRING, PRODUCT_DATA, amount_of, new_price, new_product, require_amount
from sandbox.parameters import (
    Shape,
    boolean,
    currency,
    decimal,
    identifier,
    metadata,
    not_negative,
    positive,
)
from sandbox.problems import invalid
from sandbox.routing import Call
from sandbox.shapes import TAX_BEHAVIOR
from sandbox.store import Object, random_id

_PRICE_DATA = Shape(
    ("currency",), currency=currency, product=identifier, product_data=PRODUCT_DATA,
    unit_amount=not_negative, unit_amount_decimal=decimal, tax_behavior=TAX_BEHAVIOR, recurring=INLINE_RECURRING,
)  # fmt: skip
LINE_ITEM = Shape(
    price=identifier, price_data=_PRICE_DATA, quantity=positive, metadata=metadata,
    adjustable_quantity=Shape(("enabled",), enabled=boolean, minimum=not_negative, maximum=positive),
)  # fmt: skip


def new_line(
    call: Call, item: dict[str, Any], index: int, *, mode: str, is_taxed: bool, coupon: Object | None = None
) -> Object:
    """A line from parameters. Raises StripeProblem."""
    name = f"line_items[{index}]"
    if ("price" in item) == ("price_data" in item):
        raise invalid(f"Give either {name}[price] or {name}[price_data].", name, "parameter_missing")
    if "quantity" not in item:
        raise invalid("Quantity is required. Add `quantity` to `line_items`.", f"{name}[quantity]",
                      "parameter_missing")  # fmt: skip
    if "price" in item:
        price = call.store.get("price", item["price"], f"{name}[price]")
        if not price["active"]:
            raise invalid(f"The price specified is inactive: {price['id']}.", f"{name}[price]")
    else:
        price = _price_of(call, item["price_data"], f"{name}[price_data]")
    if price["type"] != {"payment": "one_time", "subscription": "recurring"}[mode]:
        raise invalid(
            f"You specified `{mode}` mode but passed a {price['type'].replace('_', '-')} price.", name
        )
    amount = amount_of(price, item["quantity"])
    off = discounted(amount, coupon and {"_percent_off": coupon["percent_off"]})
    inclusive = price["tax_behavior"] == "inclusive"
    tax = tax_on(amount - off, call.store.tax_percent, inclusive=inclusive) if is_taxed else 0
    added = 0 if inclusive else tax
    return {
        "id": random_id("li"), "object": "item", "adjustable_quantity": None, "amount_discount": off,
        "amount_subtotal": amount, "amount_tax": tax, "amount_total": amount - off + added,
        "currency": price["currency"], "description": call.store.get("product", price["product"])["name"],
        "metadata": item.get("metadata", {}), "price": price, "quantity": item["quantity"],
    }  # fmt: skip


def _price_of(call: Call, data: dict[str, Any], name: str) -> Object:
    """The price that a line item brings: it exists, but nothing else can use it."""
    require_amount(data, f"{name}[unit_amount]")
    if ("product" in data) == ("product_data" in data):
        raise invalid("Give either product or product_data.", f"{name}[product]", "parameter_missing")
    if "product" in data:
        product_id = call.store.get("product", data["product"], f"{name}[product]")["id"]
    else:
        product_id = new_product(call.store, data["product_data"] | {"active": False})["id"]
    return new_price(call.store, data, product_id, active=False)

"""Coupons: a percentage off, once, for some months or for good."""

from decimal import Decimal
from typing import Any

from sandbox.changes import merged_metadata, updated
from sandbox.lists import page
from sandbox.parameters import (
    EXPAND,
    Shape,
    identifier,
    list_shape,
    metadata,
    number,
    one_of,
    positive,
    string,
)
from sandbox.problems import invalid
from sandbox.routing import Call, route
from sandbox.store import Object, Store


@route(
    "POST", "/v1/coupons",
    Shape(duration=one_of("once", "repeating", "forever"), duration_in_months=positive, expand=EXPAND,
          id=identifier, metadata=metadata, name=string, percent_off=number),
)  # fmt: skip
def create_coupon(call: Call) -> Object:
    given, store = call.given, call.store
    if "percent_off" not in given:
        raise invalid("You must pass either amount_off or percent_off. The sandbox knows percentages alone.",
                      "percent_off", "parameter_missing")  # fmt: skip
    percent, duration = Decimal(given["percent_off"]), given.get("duration", "once")
    if not 0 < percent <= 100:
        raise invalid("percent_off must be greater than 0 and at most 100.", "percent_off")
    if (duration == "repeating") != ("duration_in_months" in given):
        raise invalid("duration_in_months belongs to the duration repeating.", "duration_in_months",
                      "parameter_missing")  # fmt: skip
    if given.get("id") and store.find("coupon", given["id"]):
        raise invalid("Coupon already exists.", "id", "resource_already_exists")
    coupon = store.new(
        "coupon", "co", amount_off=None, currency=None, duration=duration,
        duration_in_months=given.get("duration_in_months"), max_redemptions=None,
        metadata=merged_metadata({}, given.get("metadata", {})), name=given.get("name"),
        percent_off=float(percent), redeem_by=None, times_redeemed=0, valid=True,
    )  # fmt: skip
    coupon["id"] = given.get("id") or coupon["id"]
    store.put(coupon)
    store.tell("coupon.created", coupon)
    return coupon


def coupon_of(store: Store, discounts: list[dict[str, Any]]) -> Object | None:
    """The coupon that a call's ``discounts`` name, if any. Raises StripeProblem."""
    if not discounts:
        return None
    if len(discounts) > 1:
        raise invalid("The sandbox takes one discount.", "discounts")
    for kind in discounts[0]:
        if kind != "coupon":
            raise invalid(f"No such {kind.replace('_', ' ')}.", f"discounts[0][{kind}]", "resource_missing")
    return store.get("coupon", discounts[0].get("coupon", ""), "discounts[0][coupon]")


@route("GET", "/v1/coupons/ID", Shape(expand=EXPAND))
def retrieve_coupon(call: Call) -> Object:
    return call.store.get("coupon", call.id)


@route("POST", "/v1/coupons/ID", Shape(metadata=metadata, name=string, expand=EXPAND))
def update_coupon(call: Call) -> Object:
    return updated(call, call.store.get("coupon", call.id), "coupon.updated")


@route("DELETE", "/v1/coupons/ID", Shape())
def delete_coupon(call: Call) -> Object:
    coupon = call.store.get("coupon", call.id)
    call.store.remove(call.id)
    call.store.tell("coupon.deleted", coupon)
    return {"id": coupon["id"], "object": "coupon", "deleted": True}


@route("GET", "/v1/coupons", list_shape())
def list_coupons(call: Call) -> Object:
    return page(call, "coupon")

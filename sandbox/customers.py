"""Customers."""

from typing import Any

from sandbox.changes import merged_metadata, updated
from sandbox.lists import page
from sandbox.lookups import living_customer
from sandbox.methods import attached
from sandbox.parameters import (
    EXPAND,
    Shape,
    boolean,
    email,
    identifier,
    integer,
    list_of,
    list_shape,
    metadata,
    one_of,
    string,
)
from sandbox.problems import missing
from sandbox.routing import Call, route
from sandbox.shapes import (
    ADDRESS,
    CUSTOM_FIELDS,
    CUSTOMER_SHIPPING,
    EMPTY_INVOICE_SETTINGS,
    RENDERING_OPTIONS,
)
from sandbox.store import Object, Query, Store
from sandbox.subscribing import LIVING, end_subscription

_CUSTOMER = {
    "address": ADDRESS, "balance": integer, "business_name": string, "description": string, "email": email,
    "expand": EXPAND, "individual_name": string, "invoice_prefix": string,
    "invoice_settings": Shape(custom_fields=CUSTOM_FIELDS, default_payment_method=string, footer=string,
                              rendering_options=RENDERING_OPTIONS),
    "metadata": metadata, "name": string, "next_invoice_sequence": integer, "phone": string,
    "preferred_locales": list_of(string), "shipping": CUSTOMER_SHIPPING, "validate": boolean,
    "tax": Shape(ip_address=string, validate_location=one_of("deferred", "immediately")),
    "tax_exempt": one_of("", "none", "exempt", "reverse"),
}  # fmt: skip


@route("POST", "/v1/customers", Shape(payment_method=identifier, **_CUSTOMER))
def create_customer(call: Call) -> Object:
    given, method_id = call.given, call.given.get("payment_method")
    customer = new_customer(call.store, given)
    if method_id:
        attached(call.store, method_id, customer["id"])
    call.store.tell("customer.created", customer)
    return customer


def new_customer(store: Store, given: dict[str, Any]) -> Object:
    """A customer from parameters, without its event."""
    settings = EMPTY_INVOICE_SETTINGS | given.get("invoice_settings", {})
    customer = store.new(
        "customer", "cus", address=given.get("address"), balance=given.get("balance", 0),
        business_name=given.get("business_name"), currency=None, default_source=None, delinquent=False,
        description=given.get("description"), discount=None, email=given.get("email") or None,
        individual_name=given.get("individual_name"), invoice_prefix=given.get("invoice_prefix"),
        invoice_settings=settings, metadata=merged_metadata({}, given.get("metadata", {})),
        name=given.get("name"), next_invoice_sequence=given.get("next_invoice_sequence", 1),
        phone=given.get("phone"), preferred_locales=given.get("preferred_locales", []),
        shipping=given.get("shipping"), tax_exempt=given.get("tax_exempt") or "none", test_clock=None,
    )  # fmt: skip
    return store.put(customer)


@route("GET", "/v1/customers/ID", Shape(expand=EXPAND))
def retrieve_customer(call: Call) -> Object:
    return call.store.get("customer", call.id)


@route("POST", "/v1/customers/ID", Shape(**_CUSTOMER))
def update_customer(call: Call) -> Object:
    customer = living_customer(call.store, call.id, "id")
    default = call.given.get("invoice_settings", {}).get("default_payment_method")
    if default:
        name = "invoice_settings[default_payment_method]"
        if call.store.get("payment_method", default, name)["customer"] != call.id:
            raise missing("PaymentMethod", default, name)
    return updated(call, customer, "customer.updated")


@route("DELETE", "/v1/customers/ID", Shape())
def delete_customer(call: Call) -> Object:
    customer = living_customer(call.store, call.id, "id")
    for method in call.store.select("payment_method", Query().where("$.customer", call.id)):
        call.store.put(method | {"customer": None})
    living = Query().where("$.customer", call.id).any_of("$.status", [*LIVING, "incomplete"])
    for subscription in call.store.select("subscription", living):
        end_subscription(call.store, subscription, "cancellation_requested")
    gone = {"id": customer["id"], "object": "customer", "deleted": True}
    call.store.put(gone)
    call.store.tell("customer.deleted", customer)
    return gone


@route("GET", "/v1/customers", list_shape(email=string))
def list_customers(call: Call) -> Object:
    living = Query().also("json_extract(body, '$.deleted') IS NULL")
    return page(call, "customer", "email", query=living)

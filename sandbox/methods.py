"""Payment methods: test cards and bank debits, alone or attached to a customer."""

from typing import Any

from sandbox.cards import CARDS, PAYMENT_METHODS, Card
from sandbox.changes import updated
from sandbox.lists import page
from sandbox.lookups import living_customer
from sandbox.parameters import EXPAND, Shape, email, identifier, metadata, one_of, page_shape, string
from sandbox.problems import StripeProblem, invalid
from sandbox.routing import Call, route
from sandbox.shapes import ADDRESS, EMPTY_BILLING_DETAILS
from sandbox.store import Object, Query, Store

_TYPE = one_of("card", "us_bank_account")
_BILLING_DETAILS = Shape(address=ADDRESS, email=email, name=string, phone=string)


def no_method_types(value: Any, name: str) -> Any:
    """Since the 2026 API the account's settings decide which methods are offered."""
    raise invalid(f"The parameter {name} may no longer be sent.", name, "parameter_unknown")


def new_method(store: Store, card: Card, customer: str | None = None) -> Object:
    """A payment method of a test card."""
    if card.is_delayed:
        kind: dict[str, Any] = {
            "type": "us_bank_account",
            "us_bank_account": {
                "account_holder_type": "individual", "account_type": "checking", "bank_name": "SANDBOX BANK",
                "fingerprint": f"sandbox{card.number[-6:]}", "last4": card.number[-4:],
                "routing_number": "110000000", "networks": None, "status_details": None,
                "financial_connections_account": None,
            },
        }  # fmt: skip
    else:
        kind = {
            "type": "card",
            "card": {
                "brand": card.brand, "last4": card.number[-4:], "exp_month": 12, "exp_year": 2034,
                "country": "US", "fingerprint": f"sandbox{card.number[-6:]}", "funding": "credit",
                "checks": None, "networks": None, "three_d_secure_usage": {"supported": True},
                "wallet": None, "generated_from": None, "display_brand": card.brand,
                "regulated_status": "unregulated",
            },
        }  # fmt: skip
    method = store.new(
        "payment_method", "pm", allow_redisplay="unspecified", customer=customer, metadata={}, **kind,
        billing_details=dict(EMPTY_BILLING_DETAILS),
    )  # fmt: skip
    # The sandbox remembers the number and whether the customer has agreed to later payments.
    method |= {"_card": card.number, "_is_set_up": False}
    return store.put(method)


def usable_method(store: Store, method_id: str, customer_id: str | None, param: str) -> Object:
    """A method for a payment of a customer; Stripe's own names make a new one. Raises StripeProblem."""
    if method_id in PAYMENT_METHODS:
        return new_method(store, CARDS[PAYMENT_METHODS[method_id]])
    method = store.get("payment_method", method_id, param)
    if method["customer"] and method["customer"] != customer_id:
        raise invalid(
            f"The PaymentMethod {method_id} belongs to a Customer; include that customer in the request.",
            param,
        )
    return method


def attached(store: Store, method_id: str, customer_id: str) -> Object:
    """Attach a method to a customer. Raises StripeProblem."""
    living_customer(store, customer_id)
    method = usable_method(store, method_id, customer_id, "payment_method")
    card = CARDS[method["_card"]]
    if card.decline_code and not card.needs_action and not card.can_be_kept:
        raise StripeProblem(
            402, "card_error", card.message, code=card.code, decline_code=card.decline_code, has_effect=False
        )
    method["customer"] = customer_id
    store.put(method)
    store.tell("payment_method.attached", method)
    return method


@route("POST", "/v1/payment_methods/ID/attach", Shape(("customer",), customer=identifier, expand=EXPAND))
def attach_method(call: Call) -> Object:
    return attached(call.store, call.id, call.given["customer"])


@route("POST", "/v1/payment_methods/ID/detach", Shape(expand=EXPAND))
def detach_method(call: Call) -> Object:
    method, store = call.store.get("payment_method", call.id), call.store
    if not method["customer"]:
        raise invalid("The payment method you provided is not attached to a customer so detachment is "
                      "impossible.")  # fmt: skip
    customer = store.find("customer", method["customer"])
    settings = (customer or {}).get("invoice_settings") or {}
    if customer and settings.get("default_payment_method") == call.id:
        store.put(customer | {"invoice_settings": settings | {"default_payment_method": None}})
    before = {"customer": method["customer"]}
    store.put(method | {"customer": None})
    store.tell("payment_method.detached", method | {"customer": None}, before=before)
    return method | {"customer": None}


@route("GET", "/v1/payment_methods/ID", Shape(expand=EXPAND))
def retrieve_method(call: Call) -> Object:
    return call.store.get("payment_method", call.id)


@route(
    "POST", "/v1/payment_methods/ID",
    Shape(metadata=metadata, billing_details=_BILLING_DETAILS, expand=EXPAND,
          allow_redisplay=one_of("always", "limited", "unspecified")),
)  # fmt: skip
def update_method(call: Call) -> Object:
    return updated(call, call.store.get("payment_method", call.id), "payment_method.updated")


@route("GET", "/v1/payment_methods", page_shape(customer=identifier, type=_TYPE))
def list_methods(call: Call) -> Object:
    return page(call, "payment_method", "customer", "type")


@route("GET", "/v1/customers/ID/payment_methods", page_shape(type=_TYPE))
def list_methods_of_customer(call: Call) -> Object:
    living_customer(call.store, call.id, "customer")
    return page(call, "payment_method", "type", query=Query().where("$.customer", call.id))

"""Setup intents: a card kept for later payments."""

import secrets
from typing import Any

from sandbox.cards import CARDS
from sandbox.changes import merged_metadata, updated
from sandbox.lists import page
from sandbox.lookups import living_customer
from sandbox.methods import no_method_types, usable_method
from sandbox.parameters import (
    EXPAND,
    Shape,
    address,
    boolean,
    identifier,
    list_shape,
    metadata,
    one_of,
    string,
)
from sandbox.problems import StripeProblem, invalid
from sandbox.routing import Call, route
from sandbox.shapes import MANDATE_DATA
from sandbox.store import Object, Store

WAITING = ("requires_payment_method", "requires_confirmation", "requires_action")
_CONFIRM = {"return_url": address, "mandate_data": MANDATE_DATA, "use_stripe_sdk": boolean}


def new_setup(store: Store, customer_id: str | None, **data: Any) -> Object:
    """A setup intent that waits for a card."""
    setup = store.new(
        "setup_intent", "seti", application=None, automatic_payment_methods=None, cancellation_reason=None,
        customer=customer_id, description=data.get("description"), flow_directions=None,
        last_setup_error=None, latest_attempt=None, mandate=None,
        metadata=merged_metadata({}, data.get("metadata", {})), next_action=None, on_behalf_of=None,
        payment_method=data.get("payment_method"), payment_method_configuration_details=None,
        payment_method_options={}, payment_method_types=["card"], single_use_mandate=None,
        status="requires_confirmation" if data.get("payment_method") else "requires_payment_method",
        usage=data.get("usage", "off_session"),
    )  # fmt: skip
    setup["client_secret"] = f"{setup['id']}_secret_sandbox"
    store.put(setup)
    store.tell("setup_intent.created", setup)
    return setup


def confirm_setup(
    store: Store, setup: Object, method: Object, *, authenticated: bool = False, return_url: str = ""
) -> Object:
    """Keep a card: succeeded, needs action, or declined (``last_setup_error``)."""
    card = CARDS[method["_card"]]
    setup["payment_method"] = method["id"]
    if card.needs_action and not authenticated:
        setup |= {"status": "requires_action", "next_action": _next_action(store, setup, return_url)}
        store.put(setup)
        store.tell("setup_intent.requires_action", setup)
        return setup
    if card.decline_code and not card.needs_action and not card.can_be_kept:
        error = {"type": "card_error", "code": card.code, "decline_code": card.decline_code,
                 "message": card.message, "payment_method": method}  # fmt: skip
        return _failed(store, setup, error)
    is_new = setup["customer"] and method["customer"] != setup["customer"]
    method |= {"customer": setup["customer"], "_is_set_up": True}
    store.put(method)
    if is_new:
        store.tell("payment_method.attached", method)
    setup |= {"status": "succeeded", "next_action": None, "last_setup_error": None}
    store.put(setup)
    store.tell("setup_intent.succeeded", setup)
    return setup


def _next_action(store: Store, setup: Object, return_url: str) -> Object:
    """Where the customer confirms: a page of the sandbox where the call says where to return to."""
    if not return_url:
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
    page_url = f"{store.public_base_url}/sandbox/authenticate/{setup['id']}"
    setup["_return_url"], setup["_token"] = return_url, secrets.token_urlsafe(18)
    return {"type": "redirect_to_url", "redirect_to_url": {"url": page_url, "return_url": return_url}}


def authenticate_setup(store: Store, setup_id: str, *, succeeds: bool = True) -> Object:
    """What the customer does on the 3-D Secure page of a card that is to be kept: confirm it, or not."""
    with store.change():
        setup = _in_state(store, setup_id, ("requires_action",), "authenticate")
        if not succeeds:
            return fail_setup(store, setup)
        method = store.get("payment_method", setup["payment_method"])
        return confirm_setup(store, setup, method, authenticated=True)


def fail_setup(store: Store, setup: Object) -> Object:
    """The customer did not confirm the card."""
    message = "We are unable to authenticate your payment method. Choose another one and try again."
    return _failed(store, setup, {
        "type": "invalid_request_error", "code": "setup_intent_authentication_failure", "message": message,
    })  # fmt: skip


def _failed(store: Store, setup: Object, error: Object) -> Object:
    setup |= {"status": "requires_payment_method", "next_action": None, "payment_method": None,
              "last_setup_error": error}  # fmt: skip
    store.put(setup)
    store.tell("setup_intent.setup_failed", setup)
    return setup


@route(
    "POST", "/v1/setup_intents",
    Shape(automatic_payment_methods=Shape(("enabled",), enabled=boolean,
                                          allow_redirects=one_of("always", "never")),
          confirm=boolean, customer=identifier, description=string, expand=EXPAND, metadata=metadata,
          payment_method=identifier, payment_method_types=no_method_types,
          usage=one_of("off_session", "on_session"), **_CONFIRM),
)  # fmt: skip
def create_setup(call: Call) -> Object:
    given, customer_id = call.given, call.given.get("customer")
    for name in _CONFIRM:
        if name in given and not given.get("confirm"):
            raise invalid(f"The parameter `{name}` cannot be passed when creating a SetupIntent unless "
                          "`confirm` is set to true.", name)  # fmt: skip
    if customer_id:
        living_customer(call.store, customer_id)
    if "payment_method" in given:
        method = usable_method(call.store, given["payment_method"], customer_id, "payment_method")
        given["payment_method"] = method["id"]
    fields = {
        name: given[name] for name in ("description", "metadata", "payment_method", "usage") if name in given
    }
    setup = new_setup(call.store, customer_id, **fields)
    return _confirmed(call, setup) if given.get("confirm") else setup


@route("POST", "/v1/setup_intents/ID/confirm", Shape(payment_method=identifier, expand=EXPAND, **_CONFIRM))
def confirm(call: Call) -> Object:
    return _confirmed(call, _in_state(call.store, call.id, WAITING, "confirm"))


def _confirmed(call: Call, setup: Object) -> Object:
    method_id = call.given.get("payment_method") or setup["payment_method"]
    if not method_id:
        raise invalid("You cannot confirm this SetupIntent because it's missing a payment method.",
                      "payment_method", "setup_intent_unexpected_state")  # fmt: skip
    method = usable_method(call.store, method_id, setup["customer"], "payment_method")
    setup = confirm_setup(call.store, setup, method, return_url=call.given.get("return_url", ""))
    error = setup["last_setup_error"]
    if setup["status"] == "requires_payment_method" and error:
        members = {name: value for name, value in error.items() if name not in ("type", "message")}
        raise StripeProblem(
            402, "card_error", error["message"], has_effect=True, setup_intent=setup, **members
        )
    return setup


@route(
    "POST", "/v1/setup_intents/ID/cancel",
    Shape(cancellation_reason=one_of("abandoned", "duplicate", "requested_by_customer"), expand=EXPAND),
)  # fmt: skip
def cancel_setup(call: Call) -> Object:
    setup = _in_state(call.store, call.id, WAITING, "cancel")
    setup |= {"status": "canceled", "next_action": None,
              "cancellation_reason": call.given.get("cancellation_reason")}  # fmt: skip
    call.store.put(setup)
    call.store.tell("setup_intent.canceled", setup)
    return setup


def _in_state(store: Store, setup_id: str, states: tuple[str, ...], verb: str) -> Object:
    """A setup intent in one of some states. Raises StripeProblem."""
    setup = store.get("setup_intent", setup_id)
    if setup["status"] not in states:
        raise StripeProblem(
            400, "invalid_request_error", setup_intent=setup, code="setup_intent_unexpected_state",
            message=f"You cannot {verb} this SetupIntent because it has a status of {setup['status']}.",
        )  # fmt: skip
    return setup


@route("GET", "/v1/setup_intents/ID", Shape(expand=EXPAND, client_secret=string))
def retrieve_setup(call: Call) -> Object:
    return call.store.get("setup_intent", call.id)


@route("POST", "/v1/setup_intents/ID", Shape(description=string, metadata=metadata, expand=EXPAND))
def update_setup(call: Call) -> Object:
    return updated(call, call.store.get("setup_intent", call.id), None)


@route("GET", "/v1/setup_intents", list_shape(customer=identifier, payment_method=identifier))
def list_setups(call: Call) -> Object:
    return page(call, "setup_intent", "customer", "payment_method")

"""Setup intents: a card kept for later payments."""

from typing import Any

from sandbox.cards import CARDS
from sandbox.changes import merged_metadata
from sandbox.lists import page
from sandbox.parameters import EXPAND, Shape, identifier, list_shape
from sandbox.routing import Call, route
from sandbox.store import Object, Store


def new_setup(store: Store, customer_id: str | None, **data: Any) -> Object:
    """A setup intent that waits for a card."""
    setup = store.new(
        "setup_intent", "seti", application=None, automatic_payment_methods=None, cancellation_reason=None,
        customer=customer_id, description=data.get("description"), flow_directions=None,
        last_setup_error=None, latest_attempt=None, mandate=None,
        metadata=merged_metadata({}, data.get("metadata", {})), next_action=None, on_behalf_of=None,
        payment_method=None, payment_method_configuration_details=None, payment_method_options={},
        payment_method_types=["card"], single_use_mandate=None, status="requires_payment_method",
        usage="off_session",
    )  # fmt: skip
    setup["client_secret"] = f"{setup['id']}_secret_sandbox"
    store.put(setup)
    store.tell("setup_intent.created", setup)
    return setup


def confirm_setup(store: Store, setup: Object, method: Object, *, authenticated: bool = False) -> Object:
    """Keep a card: succeeded, needs action, or declined (``last_setup_error``)."""
    card = CARDS[method["_card"]]
    setup["payment_method"] = method["id"]
    if card.needs_action and not authenticated:
        setup |= {"status": "requires_action",
                  "next_action": {"type": "use_stripe_sdk", "use_stripe_sdk": {}}}  # fmt: skip
        store.put(setup)
        store.tell("setup_intent.requires_action", setup)
        return setup
    if card.decline_code and not card.needs_action and not card.can_be_kept:
        error = {"type": "card_error", "code": card.code, "decline_code": card.decline_code,
                 "message": card.message, "payment_method": method}  # fmt: skip
        return _failed(store, setup, error)
    method |= {"customer": setup["customer"], "_is_set_up": True}
    store.put(method)
    if setup["customer"]:
        store.tell("payment_method.attached", method)
    setup |= {"status": "succeeded", "next_action": None, "last_setup_error": None}
    store.put(setup)
    store.tell("setup_intent.succeeded", setup)
    return setup


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


@route("GET", "/v1/setup_intents/ID", Shape(expand=EXPAND))
def retrieve_setup(call: Call) -> Object:
    return call.store.get("setup_intent", call.id)


@route("GET", "/v1/setup_intents", list_shape(customer=identifier, payment_method=identifier))
def list_setups(call: Call) -> Object:
    return page(call, "setup_intent", "customer", "payment_method")

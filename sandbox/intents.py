"""The calls on payment intents and charges."""

from sandbox.changes import updated
from sandbox.connect import TRANSFER_DATA, require_connect
from sandbox.lists import page
from sandbox.lookups import living_customer
from sandbox.methods import no_method_types, usable_method
from sandbox.parameters import (
    EXPAND,
    Shape,
    address,
    boolean,
    currency,
    email,
    identifier,
    list_shape,
    metadata,
    one_of,
    positive,
    string,
)
from sandbox.payments import (
    cancel,
    confirm_intent,
    fail_authentication,
    fail_intent,
    new_intent,
    require_amount,
    settle_intent,
)
from sandbox.problems import StripeProblem, invalid
from sandbox.routing import Call, route
from sandbox.shapes import MANDATE_DATA, SHIPPING
from sandbox.store import Object, Store

_FUTURE_USAGE = one_of("on_session", "off_session")
_INTENT = {
    "amount": positive, "application_fee_amount": positive, "currency": currency,
    "capture_method": one_of("automatic", "automatic_async", "manual"), "customer": identifier,
    "description": string, "expand": EXPAND, "metadata": metadata, "payment_method": identifier,
    "payment_method_options": Shape(card=Shape(
        request_three_d_secure=one_of("any", "automatic", "challenge"), setup_future_usage=_FUTURE_USAGE)),
    "receipt_email": email, "setup_future_usage": _FUTURE_USAGE, "shipping": SHIPPING,
    "statement_descriptor": string, "statement_descriptor_suffix": string, "transfer_group": string,
}  # fmt: skip
_CONFIRM = {
    "off_session": boolean, "return_url": address, "error_on_requires_action": boolean,
    "mandate_data": MANDATE_DATA, "use_stripe_sdk": boolean,
}  # fmt: skip
PAYABLE = ("requires_payment_method", "requires_confirmation", "requires_action")


@route(
    "POST", "/v1/payment_intents",
    Shape(("amount", "currency"), confirm=boolean, payment_method_types=no_method_types,
          automatic_payment_methods=Shape(("enabled",), enabled=boolean,
                                          allow_redirects=one_of("always", "never")),
          on_behalf_of=identifier, confirmation_method=one_of("automatic"), transfer_data=TRANSFER_DATA,
          **_INTENT, **_CONFIRM),
)  # fmt: skip
def create_intent(call: Call) -> Object:
    given = call.given
    require_amount(given["amount"], given["currency"], "amount")
    require_connect(call.store, given, given["amount"])
    for name in ("off_session", "return_url", "error_on_requires_action", "mandate_data"):
        if name in given and not given.get("confirm"):
            raise invalid(f"The parameter `{name}` cannot be passed when creating a PaymentIntent unless "
                          "`confirm` is set to true.", name)  # fmt: skip
    if "customer" in given:
        living_customer(call.store, given["customer"])
    if "payment_method" in given:
        method = usable_method(call.store, given["payment_method"], given.get("customer"), "payment_method")
        given["payment_method"] = method["id"]
    fields = {name: value for name, value in given.items() if name not in ("amount", "currency")}
    intent = new_intent(call.store, given["amount"], given["currency"], **fields)
    return _confirmed(call, intent) if given.get("confirm") else intent


@route("POST", "/v1/payment_intents/ID/confirm", Shape(
    payment_method=identifier, receipt_email=email, setup_future_usage=_FUTURE_USAGE, expand=EXPAND,
    payment_method_types=no_method_types, **_CONFIRM,
))  # fmt: skip
def confirm(call: Call) -> Object:
    intent = _own_intent(call, "confirm")
    if intent["status"] not in PAYABLE:
        raise _unexpected_state(intent, "confirm")
    for name in ("receipt_email", "setup_future_usage"):
        intent[name] = call.given.get(name, intent[name])
    return _confirmed(call, intent)


def _own_intent(call: Call, verb: str) -> Object:
    """An intent that calls may change: not one of a Checkout Session. Raises StripeProblem."""
    intent = call.store.get("payment_intent", call.id)
    if intent.get("_session"):
        raise invalid(f"You cannot {verb} this PaymentIntent because it was made by Checkout.")
    return intent


def _confirmed(call: Call, intent: Object) -> Object:
    given = call.given
    method_id = given.get("payment_method") or intent["payment_method"]
    if not method_id:
        raise invalid("You cannot confirm this PaymentIntent because it's missing a payment method.",
                      "payment_method", "payment_intent_unexpected_state")  # fmt: skip
    method = usable_method(call.store, method_id, intent["customer"], "payment_method")
    intent = confirm_intent(call.store, intent, method, return_url=given.get("return_url", ""))
    if intent["status"] == "requires_action" and (
        given.get("off_session") or given.get("error_on_requires_action")
    ):
        fail_intent(call.store, intent, "authentication_required",
                    "Your card was declined. This transaction requires authentication.",
                    "authentication_required")  # fmt: skip
    if intent["status"] == "requires_payment_method":
        error = intent["last_payment_error"]
        members = {name: value for name, value in error.items() if name not in ("type", "message")}
        raise StripeProblem(
            402, "card_error", error["message"], has_effect=True, payment_intent=intent, **members
        )
    return intent


def authenticate_intent(store: Store, intent_id: str, *, succeeds: bool = True) -> Object:
    """What the customer does on the 3-D Secure page of an intent: confirm it, or not."""
    with store.change():
        intent = store.get("payment_intent", intent_id)
        if intent["status"] != "requires_action":
            raise _unexpected_state(intent, "authenticate")
        if not succeeds:
            return fail_authentication(store, intent)
        method = store.get("payment_method", intent["payment_method"])
        return confirm_intent(store, intent, method, authenticated=True)


def settle_payment(store: Store, intent_id: str, *, succeeds: bool = True) -> Object:
    """The bank's answer to a debit that an intent waits for."""
    with store.change():
        intent = store.get("payment_intent", intent_id)
        if intent["status"] != "processing":
            raise _unexpected_state(intent, "settle")
        if succeeds:
            return settle_intent(store, intent)
        return fail_intent(
            store, intent, "payment_intent_payment_attempt_failed", "The bank returned the debit."
        )


@route("GET", "/v1/payment_intents/ID", Shape(expand=EXPAND, client_secret=string))
def retrieve_intent(call: Call) -> Object:
    return call.store.get("payment_intent", call.id)


@route("POST", "/v1/payment_intents/ID", Shape(payment_method_types=no_method_types, **_INTENT))
def update_intent(call: Call) -> Object:
    intent, given = call.store.get("payment_intent", call.id), call.given
    more = set(given) - {"metadata", "description", "receipt_email", "expand"}
    if more and intent["status"] not in PAYABLE:
        raise _unexpected_state(intent, "update")
    if more and intent.get("_session"):
        raise invalid("You cannot update this PaymentIntent because it was made by Checkout.")
    if "amount" in given or "currency" in given:
        require_amount(
            given.get("amount", intent["amount"]), given.get("currency", intent["currency"]), "amount"
        )
    if "application_fee_amount" in given:
        wanted = given | {"transfer_data": intent["transfer_data"]}
        require_connect(call.store, wanted, given.get("amount", intent["amount"]))
    if "customer" in given:
        living_customer(call.store, given["customer"])
    if "payment_method" in given:
        customer_id = given.get("customer") or intent["customer"]
        given["payment_method"] = usable_method(
            call.store, given["payment_method"], customer_id, "payment_method"
        )["id"]
        if intent["status"] == "requires_payment_method":
            intent["status"] = "requires_confirmation"
    given.pop("payment_method_options", None)
    return updated(call, intent, None)


@route(
    "POST", "/v1/payment_intents/ID/cancel",
    Shape(cancellation_reason=one_of("abandoned", "duplicate", "fraudulent", "requested_by_customer"),
          expand=EXPAND),
)  # fmt: skip
def cancel_intent(call: Call) -> Object:
    intent = _own_intent(call, "cancel")
    if intent["status"] not in (*PAYABLE, "requires_capture"):
        raise _unexpected_state(intent, "cancel")
    return cancel(call.store, intent, call.given.get("cancellation_reason"))


@route("POST", "/v1/payment_intents/ID/capture", Shape(
    amount_to_capture=positive, metadata=metadata, expand=EXPAND,
))  # fmt: skip
def capture_intent(call: Call) -> Object:
    intent = call.store.get("payment_intent", call.id)
    if intent["status"] != "requires_capture":
        raise _unexpected_state(intent, "capture")
    amount = call.given.get("amount_to_capture", intent["amount_capturable"])
    if amount > intent["amount_capturable"]:
        raise invalid("The amount is greater than what can be captured.", "amount_to_capture",
                      "amount_too_large")  # fmt: skip
    return settle_intent(call.store, intent, amount)


def _unexpected_state(intent: Object, verb: str) -> StripeProblem:
    return StripeProblem(
        400, "invalid_request_error", payment_intent=intent, code="payment_intent_unexpected_state",
        message=f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
    )  # fmt: skip


@route("GET", "/v1/payment_intents", list_shape(customer=identifier))
def list_intents(call: Call) -> Object:
    return page(call, "payment_intent", "customer")


@route("GET", "/v1/charges/ID", Shape(expand=EXPAND))
def retrieve_charge(call: Call) -> Object:
    return call.store.get("charge", call.id)


@route("POST", "/v1/charges/ID", Shape(
    description=string, metadata=metadata, receipt_email=email, expand=EXPAND,
))  # fmt: skip
def update_charge(call: Call) -> Object:
    return updated(call, call.store.get("charge", call.id), "charge.updated")


@route(
    "GET", "/v1/charges", list_shape(customer=identifier, payment_intent=identifier, transfer_group=string)
)
def list_charges(call: Call) -> Object:
    return page(call, "charge", "customer", "payment_intent", "transfer_group")

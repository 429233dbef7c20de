"""Payment methods, payment intents, charges and refunds."""

import secrets
from typing import Any

from sandbox.cards import CARDS, PAYMENT_METHODS, Card
from sandbox.customers import merged_metadata
from sandbox.parameters import (
    EXPAND,
    Shape,
    anything,
    boolean,
    currency,
    list_shape,
    metadata,
    one_of,
    page_shape,
    positive,
    string,
)
from sandbox.problems import StripeProblem, invalid
from sandbox.routing import Call, page, route
from sandbox.store import Object, Store

SMALLEST_AMOUNT = 50
_INTENT = {
    "amount": positive, "currency": currency, "customer": string, "description": string, "expand": EXPAND,
    "metadata": metadata, "payment_method": string, "receipt_email": string, "setup_future_usage": string,
    "statement_descriptor": string, "statement_descriptor_suffix": string,
    "transfer_data": anything, "application_fee_amount": positive,
    "capture_method": one_of("automatic", "automatic_async", "manual"), "shipping": anything,
    "transfer_group": string, "payment_method_options": anything,
}  # fmt: skip
_CONFIRM = {
    "off_session": boolean, "return_url": string, "error_on_requires_action": boolean,
    "mandate_data": anything,
}  # fmt: skip


def no_method_types(value: Any, name: str) -> Any:
    """Since the 2026 API the account's settings decide which methods are offered."""
    raise invalid(f"The parameter {name} may no longer be sent.", name, "parameter_unknown")


def new_method(store: Store, card: Card, customer: str | None) -> Object:
    """A payment method of a test card."""
    if card.is_delayed:
        kind = {"type": "us_bank_account", "us_bank_account": {"last4": card.number[-4:]}}
    else:
        kind = {
            "type": "card",
            "card": {
                "brand": card.brand, "last4": card.number[-4:], "exp_month": 12, "exp_year": 2034,
                "country": "US", "fingerprint": f"sandbox{card.number[-6:]}", "funding": "credit",
                "checks": None, "networks": None, "three_d_secure_usage": None, "wallet": None,
                "generated_from": None,
            },
        }  # fmt: skip
    method = store.new(
        "payment_method", "pm", allow_redisplay="unspecified", customer=customer, metadata={}, **kind,
        billing_details={"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
    )  # fmt: skip
    method["_card"] = card.number  # the sandbox remembers it; no answer shows what begins with "_"
    return store.put(method)


def card_of_method(store: Store, method_id: str) -> Card:
    """The test card behind a payment method or one of Stripe's names for it. Raises StripeProblem."""
    if method_id in PAYMENT_METHODS:
        return CARDS[PAYMENT_METHODS[method_id]]
    return CARDS[store.get("payment_method", method_id, "payment_method")["_card"]]


def new_intent(store: Store, amount: int, currency_code: str, **fields: Any) -> Object:
    """A payment intent that waits for a payment method."""
    intent_id = f"pi_{secrets.token_hex(12)}"
    intent = store.new(
        "payment_intent", "pi", amount=amount, amount_capturable=0, amount_received=0,
        application=None, application_fee_amount=fields.get("application_fee_amount"),
        automatic_payment_methods={"enabled": True, "allow_redirects": "always"}, canceled_at=None,
        cancellation_reason=None, capture_method=fields.get("capture_method", "automatic_async"),
        client_secret=f"{intent_id}_secret_{secrets.token_hex(8)}", confirmation_method="automatic",
        currency=currency_code, customer=fields.get("customer"), description=fields.get("description"),
        last_payment_error=None, latest_charge=None, metadata=merged_metadata({}, fields.get("metadata", {})),
        next_action=None, on_behalf_of=fields.get("on_behalf_of"),
        payment_method=fields.get("payment_method"), payment_method_options={},
        payment_method_types=["card"], processing=None, receipt_email=fields.get("receipt_email"),
        review=None, setup_future_usage=fields.get("setup_future_usage"), shipping=None,
        statement_descriptor=fields.get("statement_descriptor"),
        statement_descriptor_suffix=fields.get("statement_descriptor_suffix"),
        status="requires_confirmation" if fields.get("payment_method") else "requires_payment_method",
        transfer_data=fields.get("transfer_data"), transfer_group=fields.get("transfer_group"),
    )  # fmt: skip
    intent["id"] = intent_id
    store.put(intent)
    store.tell("payment_intent.created", intent)
    return intent


def confirm_intent(
    store: Store, intent: Object, card: Card, *, method_id: str, authenticated: bool = False
) -> Object:
    """Pay an intent with a card: succeeded, declined (``last_payment_error``), needs action or processing."""
    intent["payment_method"] = method_id
    if card.needs_action and not authenticated:
        intent["status"] = "requires_action"
        intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
        store.put(intent)
        store.tell("payment_intent.requires_action", intent)
        return intent
    intent["next_action"] = None
    if card.is_delayed:
        intent["status"] = "processing"
        store.put(intent)
        store.tell("payment_intent.processing", intent)
        return intent
    if card.decline_code:
        return fail_intent(store, intent, card.code, card.message, card.decline_code)
    return settle_intent(store, intent)


def settle_intent(store: Store, intent: Object) -> Object:
    """The money is there: a charge, and the intent succeeded."""
    charge = _charge(store, intent, "succeeded", None)
    intent |= {
        "status": "succeeded", "amount_received": intent["amount"], "latest_charge": charge["id"],
        "last_payment_error": None,
    }  # fmt: skip
    store.put(intent)
    store.tell("charge.succeeded", charge)
    store.tell("payment_intent.succeeded", intent)
    return intent


def fail_intent(
    store: Store, intent: Object, code: str, message: str, decline_code: str | None = None
) -> Object:
    """A payment that did not go through; the intent waits for another payment method."""
    charge = _charge(store, intent, "failed", message, code)
    error = {
        "type": "card_error", "code": code, "message": message, "charge": charge["id"],
        "payment_method": store.find("payment_method", intent["payment_method"]),
    }  # fmt: skip
    if decline_code:
        error["decline_code"] = decline_code
    intent |= {
        "status": "requires_payment_method", "latest_charge": charge["id"], "last_payment_error": error,
        "payment_method": None, "next_action": None,
    }  # fmt: skip
    store.put(intent)
    store.tell("charge.failed", charge)
    store.tell("payment_intent.payment_failed", intent)
    return intent


def _charge(
    store: Store, intent: Object, status: str, message: str | None, code: str | None = None
) -> Object:
    paid = status == "succeeded"
    method = store.find("payment_method", intent["payment_method"])
    card = (method or {}).get("card") or {}
    charge = store.new(
        "charge", "ch", amount=intent["amount"], amount_captured=intent["amount"] if paid else 0,
        amount_refunded=0, application=None, application_fee=None, application_fee_amount=None,
        balance_transaction=None, calculated_statement_descriptor="SANDBOX", captured=paid,
        billing_details={"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        currency=intent["currency"], customer=intent["customer"], description=intent["description"],
        disputed=False, failure_balance_transaction=None, failure_code=code, failure_message=message,
        fraud_details={}, metadata=intent["metadata"], on_behalf_of=None, outcome=None, paid=paid,
        payment_intent=intent["id"], payment_method=intent["payment_method"],
        payment_method_details={"type": "card", "card": _details(card)} if card else None,
        receipt_email=intent["receipt_email"], receipt_number=None, receipt_url=None, refunded=False,
        review=None, shipping=None, source_transfer=None, statement_descriptor=None,
        statement_descriptor_suffix=None, status=status, transfer_data=None, transfer_group=None,
    )  # fmt: skip
    return store.put(charge)


def _details(card: dict[str, Any]) -> dict[str, Any]:
    """What a charge says of its card."""
    names = ("brand", "last4", "exp_month", "exp_year", "country", "funding")
    return {name: card[name] for name in names}


def _require_amount(given: dict[str, Any]) -> None:
    if given["amount"] < SMALLEST_AMOUNT:
        raise invalid("Amount must be at least $0.50 usd", "amount", "amount_too_small")


@route(
    "POST", "/v1/payment_intents",
    Shape(("amount", "currency"), confirm=boolean, payment_method_types=no_method_types,
          automatic_payment_methods=anything, on_behalf_of=string, confirmation_method=string, **_INTENT,
          **_CONFIRM),
)  # fmt: skip
def create_intent(call: Call) -> Object:
    given = call.given
    _require_amount(given)
    if given.get("customer"):
        call.store.get("customer", given["customer"], "customer")
    fields = {name: value for name, value in given.items() if name not in ("amount", "currency")}
    intent = new_intent(call.store, given["amount"], given["currency"], **fields)
    return _confirmed(call, intent) if given.get("confirm") else intent


@route("POST", "/v1/payment_intents/ID/confirm", Shape(
    payment_method=string, receipt_email=string, setup_future_usage=string, expand=EXPAND, **_CONFIRM,
))  # fmt: skip
def confirm(call: Call) -> Object:
    intent = call.store.get("payment_intent", call.id)
    if intent["status"] not in ("requires_payment_method", "requires_confirmation", "requires_action"):
        raise _unexpected_state(intent, "confirm")
    return _confirmed(call, intent)


def _confirmed(call: Call, intent: Object) -> Object:
    method_id = call.given.get("payment_method") or intent["payment_method"]
    if not method_id:
        raise invalid("You cannot confirm this PaymentIntent because it's missing a payment method.",
                      "payment_method", "payment_intent_unexpected_state")  # fmt: skip
    card = card_of_method(call.store, method_id)
    if method_id in PAYMENT_METHODS:
        method_id = new_method(call.store, card, intent["customer"])["id"]
    intent = confirm_intent(call.store, intent, card, method_id=method_id)
    if intent["status"] == "requires_action" and call.given.get("off_session"):
        fail_intent(call.store, intent, "authentication_required",
                    "Your card was declined. This transaction requires authentication.",
                    "authentication_required")  # fmt: skip
    if intent["last_payment_error"]:
        error = intent["last_payment_error"]
        members = {name: value for name, value in error.items() if name not in ("type", "message")}
        raise StripeProblem(402, "card_error", error["message"], kept=True, payment_intent=intent, **members)
    return intent


@route("GET", "/v1/payment_intents/ID", Shape(expand=EXPAND, client_secret=string))
def retrieve_intent(call: Call) -> Object:
    return call.store.get("payment_intent", call.id)


@route("POST", "/v1/payment_intents/ID", Shape(**_INTENT))
def update_intent(call: Call) -> Object:
    intent = call.store.get("payment_intent", call.id)
    for name, value in call.given.items():
        if name in intent:
            intent[name] = merged_metadata(intent[name], value) if name == "metadata" else value
    return call.store.put(intent)


@route("POST", "/v1/payment_intents/ID/cancel", Shape(cancellation_reason=string, expand=EXPAND))
def cancel_intent(call: Call) -> Object:
    intent = call.store.get("payment_intent", call.id)
    if intent["status"] in ("succeeded", "canceled"):
        raise _unexpected_state(intent, "cancel")
    intent |= {
        "status": "canceled", "canceled_at": call.store.now(),
        "cancellation_reason": call.given.get("cancellation_reason"),
    }  # fmt: skip
    call.store.put(intent)
    call.store.tell("payment_intent.canceled", intent)
    return intent


def _unexpected_state(intent: Object, verb: str) -> StripeProblem:
    return invalid(
        f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
    )


@route("GET", "/v1/payment_intents", list_shape(customer=string))
def list_intents(call: Call) -> Object:
    return page(call, "payment_intent", lambda item: True, "customer")


@route("GET", "/v1/payment_methods/ID", Shape(expand=EXPAND))
def retrieve_method(call: Call) -> Object:
    return call.store.get("payment_method", call.id)


@route("POST", "/v1/payment_methods/ID/attach", Shape(("customer",), customer=string, expand=EXPAND))
def attach_method(call: Call) -> Object:
    customer = call.store.get("customer", call.given["customer"], "customer")
    if call.id in PAYMENT_METHODS:
        method = new_method(call.store, CARDS[PAYMENT_METHODS[call.id]], customer["id"])
    else:
        method = call.store.put(call.store.get("payment_method", call.id) | {"customer": customer["id"]})
    call.store.tell("payment_method.attached", method)
    return method


@route("GET", "/v1/payment_methods", page_shape(customer=string, type=string))
def list_methods(call: Call) -> Object:
    return page(call, "payment_method", lambda item: True, "customer", "type")


@route("GET", "/v1/charges/ID", Shape(expand=EXPAND))
def retrieve_charge(call: Call) -> Object:
    return call.store.get("charge", call.id)


@route("GET", "/v1/disputes/ID", Shape(expand=EXPAND))
def retrieve_dispute(call: Call) -> Object:
    return call.store.get("dispute", call.id)


@route("GET", "/v1/charges", list_shape(customer=string, payment_intent=string))
def list_charges(call: Call) -> Object:
    return page(call, "charge", lambda item: True, "customer", "payment_intent")


@route(
    "POST", "/v1/refunds",
    Shape(amount=positive, charge=string, payment_intent=string, metadata=metadata, expand=EXPAND,
          reason=one_of("duplicate", "fraudulent", "requested_by_customer"), reverse_transfer=boolean,
          refund_application_fee=boolean),
)  # fmt: skip
def create_refund(call: Call) -> Object:
    store, given = call.store, call.given
    if ("charge" in given) == ("payment_intent" in given):
        raise invalid("Give either charge or payment_intent.", "payment_intent", "parameter_missing")
    charge_id = given.get("charge")
    if not charge_id:
        charge_id = store.get("payment_intent", given["payment_intent"], "payment_intent")["latest_charge"]
    charge = store.get("charge", charge_id or "", "charge")
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = given.get("amount", left)
    if not left:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount > left:
        raise invalid(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                      "amount")  # fmt: skip
    refund = store.new(
        "refund", "re", amount=amount, balance_transaction=None, charge=charge["id"],
        currency=charge["currency"], metadata=given.get("metadata", {}),
        payment_intent=charge["payment_intent"], reason=given.get("reason"), receipt_number=None,
        source_transfer_reversal=None, status="succeeded", transfer_reversal=None,
    )  # fmt: skip
    del refund["livemode"]
    _count_refund(store, charge, amount)
    store.put(refund)
    store.tell("refund.created", refund)
    store.tell("charge.refunded", charge)
    return refund


def _count_refund(store: Store, charge: Object, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    store.put(charge)


def fail_refund(store: Store, refund_id: str) -> Object:
    """A refund that the bank sent back later: the charge counts it no more."""
    with store.change():
        refund = store.get("refund", refund_id)
        charge = store.get("charge", refund["charge"])
        _count_refund(store, charge, -refund["amount"])
        refund |= {"status": "failed", "failure_reason": "expired_or_canceled_card"}
        store.put(refund)
        store.tell("refund.updated", refund)
        store.tell("refund.failed", refund)
        return refund


@route("GET", "/v1/refunds/ID", Shape(expand=EXPAND))
def retrieve_refund(call: Call) -> Object:
    return call.store.get("refund", call.id)


@route("GET", "/v1/refunds", list_shape(charge=string, payment_intent=string))
def list_refunds(call: Call) -> Object:
    return page(call, "refund", lambda item: True, "charge", "payment_intent")

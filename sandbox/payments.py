"""What happens to payment intents and charges, whoever asks for it."""

import secrets
from typing import Any

from sandbox.cards import CARDS
from sandbox.changes import merged_metadata
from sandbox.lists import whole
from sandbox.problems import invalid
from sandbox.rendering import includable
from sandbox.shapes import EMPTY_BILLING_DETAILS
from sandbox.store import Object, Query, Store
from sandbox.transfers import send_to_destination

# Stripe's smallest charge by currency; in others about as much.
SMALLEST_AMOUNT = {"gbp": 30, "jpy": 50, "dkk": 250, "nok": 300, "sek": 300, "hkd": 400, "mxn": 1000}
USUAL_SMALLEST_AMOUNT = 50


def require_amount(amount: int, currency: str, param: str) -> None:
    """Refuse what is too little to charge. Raises StripeProblem."""
    smallest = SMALLEST_AMOUNT.get(currency, USUAL_SMALLEST_AMOUNT)
    if amount < smallest:
        raise invalid(f"The amount must be at least {smallest} in the smallest unit of {currency}.", param,
                      "amount_too_small")  # fmt: skip
    if amount > 99_999_999:
        raise invalid("The amount must be no more than 99999999.", param, "amount_too_large")


def new_intent(store: Store, amount: int, currency: str, **fields: Any) -> Object:
    """A payment intent that waits for a payment method or its confirmation."""
    intent_id = f"pi_{secrets.token_hex(12)}"
    redirects = fields.get("automatic_payment_methods", {}).get("allow_redirects", "always")
    intent = store.new(
        "payment_intent", "pi", amount=amount, amount_capturable=0, amount_received=0,
        application=None, application_fee_amount=fields.get("application_fee_amount"),
        automatic_payment_methods={"enabled": True, "allow_redirects": redirects}, canceled_at=None,
        cancellation_reason=None, capture_method=fields.get("capture_method", "automatic_async"),
        client_secret=f"{intent_id}_secret_{secrets.token_hex(8)}", confirmation_method="automatic",
        currency=currency, customer=fields.get("customer"), description=fields.get("description"),
        last_payment_error=None, latest_charge=None, metadata=merged_metadata({}, fields.get("metadata", {})),
        next_action=None, on_behalf_of=fields.get("on_behalf_of"), payment_method=fields.get("payment_method"),
        payment_method_options={}, payment_method_types=["card"], processing=None,
        receipt_email=fields.get("receipt_email"), review=None,
        setup_future_usage=fields.get("setup_future_usage"), shipping=fields.get("shipping"),
        statement_descriptor=fields.get("statement_descriptor"),
        statement_descriptor_suffix=fields.get("statement_descriptor_suffix"),
        status="requires_confirmation" if fields.get("payment_method") else "requires_payment_method",
        transfer_data=fields.get("transfer_data") or None, transfer_group=fields.get("transfer_group"),
    )  # fmt: skip
    intent["id"] = intent_id
    store.put(intent)
    store.tell("payment_intent.created", intent)
    return intent


def confirm_intent(
    store: Store, intent: Object, method: Object, *, authenticated: bool = False, return_url: str = ""
) -> Object:
    """Pay an intent: succeeded, declined (``last_payment_error``), needs action, processing, to be captured."""
    card = CARDS[method["_card"]]
    intent["payment_method"] = method["id"]
    is_known = method["_is_set_up"] and not card.always_asks
    if card.needs_action and not authenticated and not is_known:
        intent |= {"status": "requires_action", "next_action": _next_action(store, intent, return_url)}
        store.put(intent)
        store.tell("payment_intent.requires_action", intent)
        return intent
    intent["next_action"] = None
    if card.decline_code:
        return fail_intent(store, intent, card.code, card.message, card.decline_code)
    if card.is_delayed:
        charge = _charge(store, intent, "pending")
        intent |= {"status": "processing", "latest_charge": charge["id"], "last_payment_error": None}
        store.put(intent)
        store.tell("charge.pending", charge)
        store.tell("payment_intent.processing", intent)
        return intent
    if intent["capture_method"] == "manual":
        charge = _charge(store, intent, "succeeded", captured=False)
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"],
                   "latest_charge": charge["id"], "last_payment_error": None}  # fmt: skip
        store.put(intent)
        store.tell("charge.succeeded", charge)
        store.tell("payment_intent.amount_capturable_updated", intent)
        return intent
    return settle_intent(store, intent)


def _next_action(store: Store, intent: Object, return_url: str) -> Object:
    """Where the customer confirms: a page of the sandbox where the call says where to return to."""
    if not return_url:
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
    page = f"{store.public_base_url}/sandbox/authenticate/{intent['id']}"
    intent["_return_url"], intent["_token"] = return_url, secrets.token_urlsafe(18)
    return {"type": "redirect_to_url", "redirect_to_url": {"url": page, "return_url": return_url}}


def settle_intent(store: Store, intent: Object, amount: int | None = None) -> Object:
    """The money is there: the charge and the intent succeeded. ``amount``: what is captured; else all."""
    amount = intent["amount"] if amount is None else amount
    charge = store.find("charge", intent["latest_charge"])
    waiting = charge is not None and charge["status"] == "pending"
    if charge is not None and (waiting or intent["status"] == "requires_capture"):
        charge |= {"status": "succeeded", "paid": True, "captured": True, "amount_captured": amount,
                   "outcome": _outcome(None)}  # fmt: skip
        charge = send_to_destination(store, intent, store.put(charge))
        store.tell("charge.succeeded" if waiting else "charge.captured", charge)
    else:
        charge = send_to_destination(store, intent, _charge(store, intent, "succeeded"))
        store.tell("charge.succeeded", charge)
    intent |= {
        "status": "succeeded", "amount_received": amount, "amount_capturable": 0,
        "latest_charge": charge["id"], "last_payment_error": None,
    }  # fmt: skip
    _keep_method(store, intent)
    store.put(intent)
    store.tell("payment_intent.succeeded", intent)
    return intent


def _keep_method(store: Store, intent: Object) -> None:
    """A payment that sets up later ones leaves its method with the customer."""
    method = store.find("payment_method", intent["payment_method"])
    if method is None or not intent["setup_future_usage"] or not intent["customer"]:
        return
    is_new = method["customer"] is None
    method |= {"customer": intent["customer"], "_is_set_up": intent["setup_future_usage"] == "off_session"}
    store.put(method)
    if is_new:
        store.tell("payment_method.attached", method)


def fail_intent(
    store: Store, intent: Object, code: str, message: str, decline_code: str | None = None
) -> Object:
    """A payment that did not go through; the intent waits for another payment method."""
    charge = store.find("charge", intent["latest_charge"])
    if charge is not None and charge["status"] == "pending":
        charge |= {"status": "failed", "failure_code": code, "failure_message": message}
        store.put(charge)
    else:
        charge = _charge(store, intent, "failed", message=message, code=code, decline_code=decline_code)
    error = {
        "type": "card_error", "code": code, "message": message, "charge": charge["id"],
        "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
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


def fail_authentication(store: Store, intent: Object) -> Object:
    """The customer did not confirm the payment: no charge was tried."""
    message = "We are unable to authenticate your payment method. Choose another one and try again."
    intent |= {
        "status": "requires_payment_method", "next_action": None,
        "last_payment_error": {
            "type": "invalid_request_error", "code": "payment_intent_authentication_failure",
            "message": message, "payment_method": store.find("payment_method", intent["payment_method"]),
        },
        "payment_method": None,
    }  # fmt: skip
    store.put(intent)
    store.tell("payment_intent.payment_failed", intent)
    return intent


def cancel(store: Store, intent: Object, reason: str | None) -> Object:
    """End an intent; what was set aside on the card is let go."""
    charge = store.find("charge", intent["latest_charge"])
    if intent["status"] == "requires_capture" and charge is not None:
        charge |= {"amount_refunded": charge["amount"], "refunded": True}
        store.put(charge)
        store.tell("charge.refunded", charge)
    intent |= {
        "status": "canceled", "canceled_at": store.now(), "cancellation_reason": reason,
        "amount_capturable": 0, "next_action": None,
    }  # fmt: skip
    store.put(intent)
    store.tell("payment_intent.canceled", intent)
    return intent


def _charge(
    store: Store, intent: Object, status: str, *, captured: bool = True, message: str | None = None,
    code: str | None = None, decline_code: str | None = None,
) -> Object:  # fmt: skip
    paid = status == "succeeded"
    customer = store.find("customer", intent["customer"]) or {}
    charge = store.new(
        "charge", "ch", amount=intent["amount"], amount_captured=intent["amount"] if paid and captured else 0,
        amount_refunded=0, application=None, application_fee=None,
        application_fee_amount=intent["application_fee_amount"], balance_transaction=None,
        calculated_statement_descriptor="SANDBOX", captured=paid and captured,
        billing_details=EMPTY_BILLING_DETAILS | {"email": customer.get("email"), "name": customer.get("name")},
        currency=intent["currency"], customer=intent["customer"], description=intent["description"],
        disputed=False, failure_balance_transaction=None, failure_code=code, failure_message=message,
        fraud_details={}, metadata=intent["metadata"], on_behalf_of=intent["on_behalf_of"],
        outcome=None if status == "pending" else _outcome(decline_code or code), paid=paid,
        payment_intent=intent["id"], payment_method=intent["payment_method"],
        payment_method_details=_details(store.find("payment_method", intent["payment_method"])),
        radar_options={}, receipt_email=intent["receipt_email"], receipt_number=None, receipt_url=None,
        refunded=False, review=None, shipping=intent["shipping"], source_transfer=None,
        statement_descriptor=intent["statement_descriptor"],
        statement_descriptor_suffix=intent["statement_descriptor_suffix"], status=status,
        transfer_data=intent["transfer_data"], transfer_group=intent["transfer_group"],
    )  # fmt: skip
    if status != "failed":
        charge["receipt_url"] = f"{store.public_base_url}/sandbox/receipts/{charge['id']}"
    return store.put(charge)


def _outcome(reason: str | None) -> Object:
    """What the card's network said."""
    base = {"advice_code": None, "network_advice_code": None, "network_decline_code": None,
            "reason": reason, "risk_level": "normal", "risk_score": 20}  # fmt: skip
    if reason is None:
        return base | {"network_status": "approved_by_network", "seller_message": "Payment complete.",
                       "type": "authorized"}  # fmt: skip
    if reason == "fraudulent":
        return base | {"network_status": "not_sent_to_network", "type": "blocked", "risk_level": "highest",
                       "risk_score": 95, "seller_message": "Stripe blocked this payment."}  # fmt: skip
    return base | {"network_status": "declined_by_network", "type": "issuer_declined",
                   "seller_message": "The bank did not return any further details."}  # fmt: skip


def _details(method: Object | None) -> Object | None:
    """What a charge says of its payment method."""
    if method is None:
        return None
    kind = method["type"]
    names = ("brand", "last4", "exp_month", "exp_year", "country", "funding", "fingerprint", "bank_name")
    return {"type": kind, kind: {name: method[kind][name] for name in names if name in method[kind]}}


@includable("charge", "refunds")
def _refunds(store: Store, charge: Object) -> Object:
    found = store.select("refund", Query().where("$.charge", charge["id"]), limit=10)
    return whole(found, f"/v1/charges/{charge['id']}/refunds")

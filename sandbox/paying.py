"""What customers do on the page of a Checkout Session, in each of its modes."""

from typing import Any

from sandbox.billing import collect, settle_invoice
from sandbox.cards import GOOD_CARD, card_of
from sandbox.changes import merged_metadata
from sandbox.checkout import expire_if_due
from sandbox.customers import new_customer
from sandbox.invoices import new_paid_invoice
from sandbox.methods import new_method
from sandbox.payments import confirm_intent, fail_authentication, fail_intent, new_intent, settle_intent
from sandbox.problems import StripeProblem, invalid
from sandbox.setups import confirm_setup, fail_setup, new_setup
from sandbox.store import Object, Query, Store
from sandbox.subscribing import (
    bill_period,
    change_status,
    new_discount,
    new_subscription,
    schedule_retries,
)


def pay_checkout(
    store: Store, session_id: str, card: str = GOOD_CARD, *, authenticated: bool = False,
    email: str | None = None, event_copies: int = 1,
) -> Object:  # fmt: skip
    """What the hosted page does on its button: the session afterwards, or a refusal in ``_refusal``.

    ``authenticated``: 3-D Secure was passed. ``event_copies`` tells completion under several event ids.
    Raises StripeProblem where the session is not open or the card is no test card.
    """
    chosen = card_of(card)
    if chosen is None:
        raise invalid(f"{card} is no test card.", "number", "incorrect_number")
    with store.change():
        session = open_session(store, session_id)
        _take_customer(store, session, email)
        method = new_method(store, chosen)
        if session["mode"] == "setup":
            intent = confirm_setup(store, _setup(store, session), method, authenticated=authenticated)
        elif session["amount_total"]:
            intent = confirm_intent(store, _intent(store, session), method, authenticated=authenticated)
        else:
            intent = {"status": "succeeded", "payment_method": method["id"]}
        if intent["status"] in ("succeeded", "processing"):
            return _complete(store, session, intent, event_copies)
        store.put(session)
        if intent["status"] == "requires_action":
            return session | {"_refusal": "requires_action"}
        error = intent["last_setup_error" if session["mode"] == "setup" else "last_payment_error"]
        return session | {"_refusal": error["message"]}


def refuse_authentication(store: Store, session_id: str) -> Object:
    """The customer failed 3-D Secure on the hosted page: the attempt is over, the session stays open."""
    with store.change():
        session = open_session(store, session_id)
        intent = waiting_intent(store, session)
        if intent is not None and intent["object"] == "setup_intent":
            fail_setup(store, intent)
        elif intent is not None:
            fail_authentication(store, intent)
        return session


def waiting_intent(store: Store, session: Object) -> Object | None:
    """The payment or card of a session that waits for 3-D Secure."""
    kind = "setup_intent" if session["mode"] == "setup" else "payment_intent"
    intent = store.find(kind, session["_intent"])
    return intent if intent and intent["status"] == "requires_action" else None


def open_session(store: Store, session_id: str) -> Object:
    """A session that can be paid. Raises StripeProblem."""
    session = expire_if_due(store, store.get("checkout.session", session_id))
    if session["status"] != "open":
        raise StripeProblem(400, "invalid_request_error", f"This Checkout Session is {session['status']}.")
    return session


def _take_customer(store: Store, session: Object, email: str | None) -> None:
    customer = store.find("customer", session["customer"])
    before = (session["customer_details"] or {}).get("email")
    known = (customer or {}).get("email") or session["customer_email"] or email or before
    is_kept = (
        session["mode"] == "subscription"
        or session["customer_creation"] == "always"
        or session["_intent_data"].get("setup_future_usage")
        or (session["invoice_creation"] or {}).get("enabled")
    )
    if customer is None and is_kept:
        customer = new_customer(store, {"email": known})
        store.tell("customer.created", customer)
        session["customer"] = customer["id"]
    session["customer_details"] = {
        "address": None, "business_name": None, "email": known, "individual_name": None,
        "name": (customer or {}).get("name"), "phone": None, "tax_exempt": "none", "tax_ids": [],
    }  # fmt: skip


def _intent(store: Store, session: Object) -> Object:
    """No payment intent exists until the customer pays. That of a subscription belongs to its invoice."""
    intent = store.find("payment_intent", session["_intent"])
    if intent is None:
        is_kept = session["mode"] == "subscription"
        data: dict[str, Any] = session["_intent_data"] | (
            {"setup_future_usage": "off_session"} if is_kept else {}
        )
        intent = new_intent(
            store, session["amount_total"], session["currency"], customer=session["customer"], **data
        )
        intent["_session"] = session["id"]
        session["_intent"] = store.put(intent)["id"]
        session["payment_intent"] = None if is_kept else intent["id"]
    return intent


def _setup(store: Store, session: Object) -> Object:
    setup = store.find("setup_intent", session["_intent"])
    if setup is None:
        setup = new_setup(store, session["customer"], **session["_data"])
        session["_intent"] = session["setup_intent"] = setup["id"]
    return setup


def _complete(store: Store, session: Object, intent: Object, event_copies: int) -> Object:
    paid = intent["status"] == "succeeded"
    session |= {"status": "complete", "url": None}
    if session["mode"] == "payment":
        session["payment_status"] = "paid" if paid else "unpaid"
        if paid and session["invoice_creation"]["enabled"]:
            session["invoice"] = new_paid_invoice(store, session)["id"]
    elif session["mode"] == "subscription":
        session["payment_status"] = "paid" if paid else "unpaid"
        if not session["amount_total"]:
            session["payment_status"] = "no_payment_required"
        _subscribe(store, session, intent)
    store.put(session)
    store.tell("checkout.session.completed", session, copies=event_copies)
    return session


def _subscribe(store: Store, session: Object, intent: Object) -> None:
    """The subscription and its first invoice are made once the payment is, or once a debit is on its way."""
    line, data = session["_lines"][0], session["_data"]
    customer = store.get("customer", session["customer"])
    method = store.get("payment_method", intent["payment_method"])
    if method["customer"] is None:
        store.put(method | {"customer": customer["id"], "_is_set_up": True})
        store.tell("payment_method.attached", method | {"customer": customer["id"]})
    subscription = new_subscription(
        store, customer, line["price"], line["quantity"], status="active", method_id=method["id"],
        metadata=merged_metadata({}, data.get("metadata", {})), description=data.get("description"),
        taxed=session["automatic_tax"]["enabled"],
    )  # fmt: skip
    for entry in session["discounts"]:
        discount = new_discount(
            store, store.get("coupon", entry["coupon"]), subscription["id"], customer["id"]
        )
        subscription["discounts"] = [discount["id"]]
        store.put(subscription)
    store.tell("customer.subscription.created", subscription)
    paid_with = store.find("payment_intent", session["_intent"])
    subscription, invoice = bill_period(store, subscription, "subscription_create", intent=paid_with)
    if invoice["status"] == "open" and intent["status"] == "succeeded":
        settle_invoice(store, invoice)
    session |= {"subscription": subscription["id"], "invoice": invoice["id"]}


def pay_open_invoice(store: Store, invoice_id: str, card: str = GOOD_CARD) -> Object:
    """What the page of an unpaid invoice does on "Pay": the invoice afterwards, or a refusal in ``_refusal``.

    ``card``: a test card's number, or the id of a card that the customer has kept. Raises StripeProblem.
    """
    with store.change():
        invoice = store.get("invoice", invoice_id)
        if invoice["status"] not in ("open", "uncollectible"):
            raise invalid(f"This invoice is {invoice['status']}.")
        kept = [method for method in kept_methods(store, invoice["customer"]) if method["id"] == card]
        chosen = card_of(card)
        if not kept and chosen is None:
            raise invalid(f"{card} is no test card.", "number", "incorrect_number")
        method = kept[0] if kept else new_method(store, chosen)  # type: ignore[arg-type]
        return _with_refusal(collect(store, invoice, method, off_session=False))


def kept_methods(store: Store, customer_id: str) -> list[Object]:
    """What a customer can pay with again, the latest first."""
    return store.select("payment_method", Query().where("$.customer", customer_id))


def authenticate_invoice(store: Store, invoice_id: str, *, succeeds: bool = True) -> Object:
    """What the customer does on the 3-D Secure page of an invoice's payment: confirm it, or not."""
    with store.change():
        invoice = store.get("invoice", invoice_id)
        intent = store.get("payment_intent", invoice["_intent"])
        if not succeeds:
            fail_authentication(store, intent)
            return invoice
        method = store.get("payment_method", intent["payment_method"])
        return _with_refusal(collect(store, invoice, method, off_session=False, authenticated=True))


def _with_refusal(invoice: Object) -> Object:
    error = invoice.get("_error")
    if error is None:
        return invoice
    return invoice | {"_refusal": error.get("message", "requires_action")}


def settle_debit(store: Store, session_id: str, *, succeeds: bool = True) -> Object:
    """The bank's answer to a debit: the session is paid now, or the debit came back."""
    with store.change():
        session = store.get("checkout.session", session_id)
        intent = store.get("payment_intent", session["_intent"] or "")
        if intent["status"] != "processing":
            raise invalid(f"This payment is {intent['status']}; nothing is to settle.")
        if succeeds:
            settle_intent(store, intent)
            session["payment_status"] = "paid"
            if session["mode"] == "subscription":
                settle_invoice(store, store.get("invoice", session["invoice"]))
            elif session["invoice_creation"]["enabled"]:
                session["invoice"] = new_paid_invoice(store, session)["id"]
        else:
            fail_intent(
                store, intent, "payment_intent_payment_attempt_failed", "The bank returned the debit."
            )
            if session["mode"] == "subscription":
                _not_paid_after_all(store, session)
        store.put(session)
        outcome = "succeeded" if succeeds else "failed"
        store.tell(f"checkout.session.async_payment_{outcome}", session)
        return session


def _not_paid_after_all(store: Store, session: Object) -> None:
    """The debit that began a subscription came back: its invoice is owed and is tried again."""
    invoice = schedule_retries(store, store.get("invoice", session["invoice"]))
    invoice |= {"attempted": True, "attempt_count": 1}
    store.put(invoice)
    store.tell("invoice.payment_failed", invoice)
    change_status(store, store.get("subscription", session["subscription"]), "past_due")

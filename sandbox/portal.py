"""The billing portal: where a customer sees invoices, replaces the card, ends a subscription."""

import secrets
from typing import Any

from sandbox.cards import card_of
from sandbox.lookups import living_customer
from sandbox.methods import new_method
from sandbox.parameters import EXPAND, Shape, address, identifier
from sandbox.problems import invalid
from sandbox.routing import Call, route
from sandbox.setups import confirm_setup, new_setup
from sandbox.store import Object, Query, Store
from sandbox.subscribing import cancelling


@route(
    "POST", "/v1/billing_portal/sessions",
    Shape(("customer",), customer=identifier, return_url=address, expand=EXPAND),
)  # fmt: skip
def create_portal_session(call: Call) -> Object:
    customer = living_customer(call.store, call.given["customer"])
    session = call.store.new(
        "billing_portal.session", "bps", configuration="bpc_sandbox", customer=customer["id"], flow=None,
        locale=None, on_behalf_of=None, return_url=call.given.get("return_url"),
        _token=secrets.token_urlsafe(18),
    )  # fmt: skip
    session["url"] = f"{call.store.public_base_url}/sandbox/portal/{session['id']}"
    return call.store.put(session)


def portal_of(store: Store, session_id: str) -> dict[str, Any]:
    """What the page shows: the customer, cards, subscriptions and invoices. Raises StripeProblem."""
    session = store.get("billing_portal.session", session_id)
    customer = living_customer(store, session["customer"])
    mine = Query().where("$.customer", customer["id"])
    return {
        "session": session, "customer": customer, "methods": store.select("payment_method", mine),
        "subscriptions": store.select("subscription", mine.any_of("$.status", ["active", "past_due"])),
        "invoices": store.select("invoice", mine, limit=24),
    }  # fmt: skip


def use_card(store: Store, session_id: str, number: str) -> str:
    """Keep a card and charge it from now on, subscriptions too. Why it was refused, or nothing."""
    card = card_of(number)
    if card is None:
        return "That is no test card of the sandbox."
    with store.change():
        customer = portal_of(store, session_id)["customer"]
        setup = confirm_setup(
            store, new_setup(store, customer["id"]), new_method(store, card), authenticated=True
        )
        if setup["status"] != "succeeded":
            return setup["last_setup_error"]["message"]
        make_default(store, customer, setup["payment_method"])
    return ""


def make_default(store: Store, customer: Object, method_id: str) -> None:
    """Charge a kept card from now on."""
    before = {"invoice_settings": customer["invoice_settings"]}
    customer |= {"invoice_settings": customer["invoice_settings"] | {"default_payment_method": method_id}}
    store.put(customer)
    store.tell("customer.updated", customer, before=before)
    living = Query().where("$.customer", customer["id"]).any_of("$.status", ["active", "past_due"])
    for subscription in store.select("subscription", living):
        old = {"default_payment_method": subscription["default_payment_method"]}
        subscription["default_payment_method"] = method_id
        store.put(subscription)
        store.tell("customer.subscription.updated", subscription, before=old)


def end_with_period(store: Store, session_id: str, subscription_id: str, *, ends: bool) -> None:
    """Let a subscription of the customer end with its period, or go on. Raises StripeProblem."""
    with store.change():
        found = [s for s in portal_of(store, session_id)["subscriptions"] if s["id"] == subscription_id]
        if not found:
            raise invalid("This subscription is over.")
        changes = cancelling(store, found[0], ends=ends)
        before = {name: found[0][name] for name in changes}
        subscription = found[0] | changes
        store.put(subscription)
        store.tell("customer.subscription.updated", subscription, before=before)

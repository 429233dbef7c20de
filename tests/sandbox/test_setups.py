"""Setup intents: a card kept for later by a call, with 3-D Secure, refused, or given up."""

import pytest
import requests
import stripe

from tests.sandbox.conftest import event_types
from tests.sandbox.test_pages import filled


def test_a_confirmed_setup_keeps_the_card(client):
    customer = client.v1.customers.create({"email": "ann@acme.example"}).id
    setup = client.v1.setup_intents.create(
        {"customer": customer, "payment_method": "pm_card_visa", "confirm": True, "metadata": {"a": "b"}}
    )
    assert (setup.status, setup.usage, setup.metadata["a"]) == ("succeeded", "off_session", "b")
    assert client.v1.payment_methods.retrieve(setup.payment_method).customer == customer
    assert event_types(client)[-2:] == ["payment_method.attached", "setup_intent.succeeded"]
    paid = client.v1.payment_intents.create({
        "amount": 900, "currency": "usd", "customer": customer, "payment_method": setup.payment_method,
        "off_session": True, "confirm": True,
    })  # fmt: skip
    assert paid.status == "succeeded"


def test_a_declined_card_is_not_kept(client):
    customer = client.v1.customers.create({}).id
    setup = client.v1.setup_intents.create({"customer": customer})
    assert setup.status == "requires_payment_method"
    with pytest.raises(stripe.CardError) as refusal:
        client.v1.setup_intents.confirm(setup.id, {"payment_method": "pm_card_chargeDeclined"})
    assert refusal.value.code == "card_declined"
    assert client.v1.payment_methods.list({"customer": customer}).data == []
    assert event_types(client)[-1] == "setup_intent.setup_failed"
    assert client.v1.setup_intents.cancel(setup.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.setup_intents.confirm(setup.id, {"payment_method": "pm_card_visa"})
    assert refusal.value.code == "setup_intent_unexpected_state"


def test_3d_secure_is_passed_on_a_page(client):
    setup = client.v1.setup_intents.create({
        "customer": client.v1.customers.create({}).id, "payment_method": "pm_card_authenticationRequired",
        "confirm": True, "return_url": "https://shop.test/cards",
    })  # fmt: skip
    assert setup.status == "requires_action"
    address = setup.next_action.redirect_to_url.url
    token = filled(requests.get(address, timeout=5))["token"]
    assert requests.post(address, data={"token": "x"}, timeout=5).status_code == 400
    back = requests.post(
        address, data={"token": token, "outcome": "complete"}, timeout=5, allow_redirects=False
    )
    assert back.headers["Location"] == f"https://shop.test/cards?setup_intent={setup.id}"
    assert client.v1.setup_intents.retrieve(setup.id).status == "succeeded"


def test_what_belongs_to_a_confirmation_needs_one(client):
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.setup_intents.create({"return_url": "https://shop.test/cards"})
    assert refusal.value.param == "return_url"

"""Idempotency keys: the first answer is kept, whatever it was, once the call began."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import stripe

from sandbox.faults import Fault
from tests.sandbox.conftest import KEY, client_of, new_session


def declined(client, key: str) -> stripe.CardError:
    """A declined payment under a key."""
    with pytest.raises(stripe.CardError) as refusal:
        client.v1.payment_intents.create(
            {
                "amount": 900, "currency": "usd", "payment_method": "pm_card_chargeDeclined", "confirm": True,
            },
            {"idempotency_key": key},
        )  # fmt: skip
    return refusal.value


def test_same_key_gives_the_first_answer(client):
    first = client.v1.customers.create({"email": "a@shop.test"}, {"idempotency_key": "one"})
    again = client.v1.customers.create({"email": "a@shop.test"}, {"idempotency_key": "one"})
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert len(client.v1.customers.list().data) == 1


def test_first_answer_stays_though_the_object_has_changed(client):
    first = client.v1.customers.create({"name": "Before"}, {"idempotency_key": "one"})
    client.v1.customers.update(first.id, {"name": "After"})
    assert client.v1.customers.create({"name": "Before"}, {"idempotency_key": "one"}).name == "Before"


def test_same_key_with_other_parameters_or_another_call_is_refused(client):
    client.v1.customers.create({"email": "a@shop.test"}, {"idempotency_key": "one"})
    for call in (
        lambda: client.v1.customers.create({"email": "b@shop.test"}, {"idempotency_key": "one"}),
        lambda: client.v1.products.create({"name": "a"}, {"idempotency_key": "one"}),
    ):
        with pytest.raises(stripe.IdempotencyError) as refusal:
            call()
        assert refusal.value.http_status == 400
    assert len(client.v1.customers.list().data) == 1


def test_decline_is_kept_with_its_effect(client):
    first, again = declined(client, "one"), declined(client, "one")
    assert first.error.payment_intent.id == again.error.payment_intent.id
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(client.v1.payment_intents.list().data) == 1


def test_validation_error_is_not_kept(client):
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.create({"colour": "blue"}, {"idempotency_key": "mended"})
    assert client.v1.customers.create({"name": "Blue"}, {"idempotency_key": "mended"}).name == "Blue"


def test_refusal_of_a_call_that_began_is_kept_and_its_effect_undone(client, server):
    product = client.v1.products.create({"name": "Credits"})
    given = {"product": product.id, "currency": "usd", "unit_amount": 500, "lookup_key": "small"}
    first = client.v1.prices.create(given)
    for replayed in (None, "true"):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.prices.create(given, {"idempotency_key": "one"})
        assert refusal.value.headers.get("Idempotent-Replayed") == replayed
    client.v1.prices.update(first.id, {"lookup_key": ""})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.prices.create(given, {"idempotency_key": "one"})
    assert len(client.v1.prices.list().data) == 1


def test_kept_500_is_given_again(client, server):
    server.faults.plan(Fault("effect_then_500", kept=True))
    for _ in range(2):
        with pytest.raises(stripe.APIError) as trouble:
            client.v1.customers.create({}, {"idempotency_key": "one"})
        assert trouble.value.headers["Stripe-Should-Retry"] == "false"
    assert len(client.v1.customers.list().data) == 1


def test_two_at_once_one_is_told_to_wait(server, client):
    server.faults.plan(Fault("busy", seconds=0.8))
    answers: list[str] = []

    def create() -> None:
        made = client_of(server.base_url).v1.customers.create({"name": "A"}, {"idempotency_key": "one"})
        answers.append(made.id)

    slow = threading.Thread(target=create)
    slow.start()
    while not server.api.calls:
        time.sleep(0.01)
    with pytest.raises(stripe.StripeError) as refusal:
        client.v1.customers.create({"name": "A"}, {"idempotency_key": "one"})
    slow.join()
    assert refusal.value.http_status == 409
    assert refusal.value.json_body["error"]["code"] == "idempotency_key_in_use"
    assert client.v1.customers.create({"name": "A"}, {"idempotency_key": "one"}).id == answers[0]
    assert len(list(server.store.all("customer"))) == 1


def test_the_librarys_own_retries_end_in_one_effect(server):
    server.faults.plan(Fault("effect_then_reset", times=2))
    patient = stripe.StripeClient(
        KEY, base_addresses={"api": server.base_url}, max_network_retries=3,
        http_client=stripe.RequestsClient(timeout=5),
    )  # fmt: skip
    patient.v1.customers.create({"name": "A"})
    assert len(list(server.store.all("customer"))) == 1


def test_kept_through_a_restart(serving, tmp_path):
    first = serving(path=tmp_path / "kept.sqlite")
    made = client_of(first.base_url).v1.customers.create({"name": "A"}, {"idempotency_key": "one"})
    second = serving(path=tmp_path / "kept.sqlite")
    again = client_of(second.base_url).v1.customers.create({"name": "A"}, {"idempotency_key": "one"})
    assert again.id == made.id


def test_forgotten_key_does_it_again(server, client):
    new_session(client)
    client.v1.customers.create({}, {"idempotency_key": "one"})
    server.api.replies.forget()
    client.v1.customers.create({}, {"idempotency_key": "one"})
    assert len(client.v1.customers.list().data) == 2


def test_a_key_ends_a_day_later_by_the_sandboxs_clock(serving):
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    client = client_of(serving(now=lambda: at).base_url)
    first = client.v1.customers.create({"name": "a"}, {"idempotency_key": "one"}).id
    at += timedelta(hours=23, minutes=59)
    assert client.v1.customers.create({"name": "a"}, {"idempotency_key": "one"}).id == first
    at += timedelta(minutes=1)
    assert client.v1.customers.create({"name": "b"}, {"idempotency_key": "one"}).id != first

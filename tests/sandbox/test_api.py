"""The sandbox through the real Stripe library."""

import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
import stripe

from sandbox import SandboxServer
from sandbox.checkout import pay_checkout, settle_debit
from sandbox.faults import Fault
from sandbox.refunds import fail_refund
from sandbox.webhooks import DeliveryOptions
from tests.sandbox.conftest import KEY, checkout_parameters, client_of


def new_session(client: stripe.StripeClient, **more: object) -> stripe.checkout.Session:
    """A session as Coffer makes one."""
    return client.v1.checkout.sessions.create(checkout_parameters(**more))


def event_types(client: stripe.StripeClient) -> list[str]:
    """Every event so far, oldest first."""
    listed = client.v1.events.list({"limit": 100})
    return [event.type for event in listed.auto_paging_iter()][::-1]


class TestParameters:
    def test_unknown_name_is_refused_by_name(self, client):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.customers.create({"colour": "blue"})
        assert (refusal.value.param, refusal.value.code) == ("colour", "parameter_unknown")

    def test_missing_name_is_refused_by_name(self, client):
        given = checkout_parameters()
        del given["mode"]
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.checkout.sessions.create(given)
        assert (refusal.value.param, refusal.value.code) == ("mode", "parameter_missing")

    def test_nested_unknown_name_is_refused_with_its_path(self, client):
        given = checkout_parameters()
        given["line_items"][0]["colour"] = "blue"
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.checkout.sessions.create(given)
        assert refusal.value.param == "line_items[0][colour]"

    def test_payment_method_types_may_no_longer_be_sent(self, client):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            new_session(client, payment_method_types=["card"])
        assert refusal.value.param == "payment_method_types"

    def test_word_for_a_number_is_refused(self, client):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.payment_intents.create({"amount": "many", "currency": "usd"})
        assert refusal.value.param == "amount"

    def test_wrong_key_is_refused(self, server):
        with pytest.raises(stripe.AuthenticationError):
            client_of(server.base_url, "sk_test_other").v1.customers.list()

    def test_unknown_object_is_missing(self, client):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.customers.retrieve("cus_none")
        assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")


class TestIdempotency:
    def test_same_key_gives_the_first_answer(self, client):
        first = client.v1.customers.create({"email": "a@shop.test"}, {"idempotency_key": "one"})
        again = client.v1.customers.create({"email": "a@shop.test"}, {"idempotency_key": "one"})
        assert again.id == first.id
        assert again.last_response.headers["Idempotent-Replayed"] == "true"
        assert len(client.v1.customers.list().data) == 1

    def test_same_key_with_other_parameters_is_refused(self, client):
        client.v1.customers.create({"email": "a@shop.test"}, {"idempotency_key": "one"})
        with pytest.raises(stripe.IdempotencyError):
            client.v1.customers.create({"email": "b@shop.test"}, {"idempotency_key": "one"})

    def test_decline_is_kept_too(self, client):
        def pay() -> None:
            client.v1.payment_intents.create(
                {
                    "amount": 900,
                    "currency": "usd",
                    "payment_method": "pm_card_chargeDeclined",
                    "confirm": True,
                },
                {"idempotency_key": "declined"},
            )

        for _ in range(2):
            with pytest.raises(stripe.CardError):
                pay()
        assert len(client.v1.payment_intents.list().data) == 1

    def test_validation_error_is_not_kept(self, client):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.customers.create({"colour": "blue"}, {"idempotency_key": "mended"})
        assert client.v1.customers.create({"name": "Blue"}, {"idempotency_key": "mended"}).name == "Blue"


class TestLists:
    def test_pages_are_walked_to_the_end(self, client):
        made = [client.v1.customers.create({"name": str(number)}).id for number in range(7)]
        listed = [item.id for item in client.v1.customers.list({"limit": 2}).auto_paging_iter()]
        assert listed == made[::-1]

    def test_prices_are_found_by_lookup_key_and_the_key_moves(self, client):
        product = client.v1.products.create({"name": "Credits"})
        given = {"product": product.id, "currency": "usd", "unit_amount": 500, "lookup_key": "small"}
        first = client.v1.prices.create(given)
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.prices.create(given)
        second = client.v1.prices.create({**given, "unit_amount": 600, "transfer_lookup_key": True})
        assert [price.id for price in client.v1.prices.list({"lookup_keys": ["small"]}).data] == [second.id]
        assert client.v1.prices.retrieve(first.id).lookup_key is None


class TestCheckout:
    def test_paid_session_has_intent_invoice_and_events(self, client, server):
        session = new_session(client)
        assert session.payment_intent is None
        pay_checkout(server.store, session.id)
        paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent", "line_items"]})
        assert (paid.status, paid.payment_status, paid.amount_total) == ("complete", "paid", 900)
        assert paid.payment_intent.metadata.order == "order-1"
        assert paid.line_items.data[0].description == "1,000 credits"
        assert client.v1.invoices.retrieve(paid.invoice).status == "paid"
        assert {"checkout.session.completed", "payment_intent.succeeded", "invoice.paid"} <= set(
            event_types(client)
        )

    def test_declined_session_stays_open_and_can_be_paid(self, client, server):
        session = new_session(client)
        assert pay_checkout(server.store, session.id, "4000000000000002")["_refusal"]
        assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
        pay_checkout(server.store, session.id)
        assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
        assert event_types(client).count("payment_intent.payment_failed") == 1

    def test_three_d_secure_asks_first(self, client, server):
        session = new_session(client)
        assert pay_checkout(server.store, session.id, "4000002500003155")["_refusal"] == "requires_action"
        pay_checkout(server.store, session.id, "4000002500003155", authenticated=True)
        assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"

    @pytest.mark.parametrize(("succeeds", "status"), [(True, "paid"), (False, "unpaid")])
    def test_bank_debit_is_settled_later(self, client, server, succeeds, status):
        session = new_session(client)
        pay_checkout(server.store, session.id, "000123456789")
        assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "unpaid"
        settle_debit(server.store, session.id, succeeds=succeeds)
        assert client.v1.checkout.sessions.retrieve(session.id).payment_status == status
        outcome = "succeeded" if succeeds else "failed"
        assert event_types(client)[-1] == f"checkout.session.async_payment_{outcome}"

    def test_session_expires_with_the_clock(self, tmp_path):
        clock = [datetime(2026, 1, 1, tzinfo=UTC)]
        server = SandboxServer(tmp_path / "clock.sqlite", KEY, now=lambda: clock[0]).start()
        client = client_of(server.base_url)
        session = new_session(client)
        clock[0] += timedelta(days=1, minutes=1)
        assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
        assert event_types(client)[-1] == "checkout.session.expired"
        server.stop()

    def test_inactive_price_cannot_be_bought(self, client):
        product = client.v1.products.create({"name": "Credits"})
        price = client.v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 500})
        client.v1.prices.update(price.id, {"active": False})
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            new_session(client, line_items=[{"price": price.id, "quantity": 1}])
        assert refusal.value.code == "price_inactive"


class TestRefunds:
    def test_partial_then_full_then_no_more(self, client, server):
        session = new_session(client)
        intent = pay_checkout(server.store, session.id)["payment_intent"]
        client.v1.refunds.create({"payment_intent": intent, "amount": 300})
        client.v1.refunds.create({"payment_intent": intent})
        charge = client.v1.charges.list({"payment_intent": intent}).data[0]
        assert (charge.amount_refunded, charge.refunded) == (900, True)
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.refunds.create({"payment_intent": intent})
        assert refusal.value.code == "charge_already_refunded"

    def test_refund_that_fails_later_is_taken_back(self, client, server):
        intent = pay_checkout(server.store, new_session(client).id)["payment_intent"]
        refund = client.v1.refunds.create({"payment_intent": intent})
        fail_refund(server.store, refund.id)
        assert client.v1.charges.list({"payment_intent": intent}).data[0].amount_refunded == 0
        assert event_types(client)[-1] == "refund.failed"


class TestFaults:
    @pytest.mark.parametrize("kind", ["reset", "effect_then_reset", "effect_then_timeout", "half_answer"])
    def test_cut_connection_is_a_connection_error(self, server, kind):
        server.faults.plan(Fault(kind, seconds=0.1))
        with pytest.raises(stripe.APIConnectionError):
            client_of(server.base_url, timeout=1).v1.customers.create({}, {"idempotency_key": "k"})
        made = 0 if kind == "reset" else 1
        assert len(list(server.store.all("customer"))) == made
        client_of(server.base_url).v1.customers.create({}, {"idempotency_key": "k"})
        assert len(list(server.store.all("customer"))) == 1

    def test_500_after_the_effect(self, server, client):
        server.faults.plan(Fault("effect_then_500"))
        with pytest.raises(stripe.APIError):
            client.v1.customers.create({})
        assert len(list(server.store.all("customer"))) == 1

    def test_429_before_it(self, server, client):
        server.faults.plan(Fault("429"))
        with pytest.raises(stripe.RateLimitError):
            client.v1.customers.create({})
        assert list(server.store.all("customer")) == []


class _Endpoint(BaseHTTPRequestHandler):
    received: list[tuple[bytes, str]]
    refusals: list[int]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((body, self.headers["Stripe-Signature"]))
        self.send_response(self.refusals.pop() if self.refusals else 200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def endpoint():
    """An endpoint that takes webhooks; ``refusals`` are answered first."""
    handler = type("Endpoint", (_Endpoint,), {"received": [], "refusals": []})
    http = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    handler.url = f"http://127.0.0.1:{http.server_port}/hook"
    yield handler
    http.shutdown()
    http.server_close()


def serving(tmp_path: Path, endpoint, **options) -> SandboxServer:
    return SandboxServer(
        tmp_path / "hooks.sqlite", KEY, webhook_url=endpoint.url, webhook_secret="whsec_test",
        delivery=DeliveryOptions(**options),
    ).start()  # fmt: skip


class TestWebhooks:
    def test_delivered_signed(self, tmp_path, endpoint):
        server = serving(tmp_path, endpoint)
        client_of(server.base_url).v1.customers.create({"name": "A"})
        _until(lambda: endpoint.received)
        body, signature = endpoint.received[0]
        event = stripe.Webhook.construct_event(body, signature, "whsec_test")
        assert event.type == "customer.created"
        server.stop()

    def test_tried_again_until_taken(self, tmp_path, endpoint):
        endpoint.refusals.append(500)
        server = serving(tmp_path, endpoint, automatic=False)
        client_of(server.base_url).v1.customers.create({})
        assert server.deliverer.deliver_pending() == 0
        time.sleep(1.1)
        assert server.deliverer.deliver_pending() == 1
        assert len(endpoint.received) == 2
        server.stop()

    def test_copies_and_another_order(self, tmp_path, endpoint):
        server = serving(tmp_path, endpoint, automatic=False, copies=3, shuffle_seed=1)
        client = client_of(server.base_url)
        for name in "abc":
            client.v1.customers.create({"name": name})
        server.deliverer.deliver_pending()
        assert len(endpoint.received) == 9
        server.stop()


def _until(condition, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


class TestPages:
    def test_paying_leads_to_the_success_page(self, server, client):
        session = new_session(client)
        shown = requests.get(session.url, timeout=5)
        assert "1,000 credits" in shown.text and "$9.00" in shown.text
        assert "script" not in shown.headers["Content-Security-Policy"]
        token = server.store.get("checkout.session", session.id)["_token"]
        paid = requests.post(
            session.url,
            data={"token": token, "number": "4242 4242 4242 4242"},
            timeout=5,
            allow_redirects=False,
        )
        assert paid.status_code == 303
        assert paid.headers["Location"] == f"https://shop.test/ok?session_id={session.id}"

    def test_declined_card_says_why(self, server, client):
        session = new_session(client)
        token = server.store.get("checkout.session", session.id)["_token"]
        answer = requests.post(session.url, data={"token": token, "number": "4000000000009995"}, timeout=5)
        assert answer.status_code == 402 and "insufficient funds" in answer.text

    def test_form_without_its_token_is_refused(self, server, client):
        session = new_session(client)
        assert requests.post(session.url, data={"number": "4242424242424242"}, timeout=5).status_code == 400
        assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "unpaid"

    def test_three_d_secure_page(self, server, client):
        session = new_session(client)
        token = server.store.get("checkout.session", session.id)["_token"]
        asked = requests.post(session.url, data={"token": token, "number": "4000002500003155"}, timeout=5)
        assert "asks you to confirm" in asked.text
        done = requests.post(
            asked.url, data={"token": token, "number": "4000002500003155", "outcome": "complete"}, timeout=5,
            allow_redirects=False,
        )  # fmt: skip
        assert done.status_code == 303

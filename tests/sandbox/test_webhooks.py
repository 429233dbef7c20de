"""Events: what is told, how it is signed, and when it arrives."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import stripe

from sandbox import SandboxServer
from sandbox.paying import pay_checkout
from sandbox.webhooks import DeliveryOptions, signature
from tests.sandbox.conftest import client_of, new_session

SECRET = "whsec_test"


class _Endpoint(BaseHTTPRequestHandler):
    received: list[tuple[bytes, str]]
    refusals: list[int]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((body, self.headers["Stripe-Signature"]))
        status = self.refusals.pop() if self.refusals else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def endpoint() -> Iterator[Any]:
    """An endpoint that takes webhooks; ``refusals`` are answered first."""
    handler: Any = type("Endpoint", (_Endpoint,), {"received": [], "refusals": []})
    http = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    handler.url = f"http://127.0.0.1:{http.server_port}/hook"
    yield handler
    http.shutdown()
    http.server_close()


@pytest.fixture
def hooked(serving, endpoint):
    """Start a sandbox whose events go to the endpoint."""

    def start(*, now=None, secret=SECRET, **options: Any) -> SandboxServer:
        return serving(
            webhook_url=endpoint.url, webhook_secret=secret, delivery=DeliveryOptions(**options), now=now
        )

    return start


def events(endpoint: Any) -> list[stripe.Event]:
    """What the endpoint received, each with its signature checked by the library."""
    return [stripe.Webhook.construct_event(body, header, SECRET) for body, header in endpoint.received]


def until(condition, seconds: float = 5) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


class TestSignature:
    def test_library_takes_it(self, hooked, endpoint):
        server = hooked()
        client_of(server.base_url).v1.customers.create({"name": "A"})
        until(lambda: endpoint.received)
        (event,) = events(endpoint)
        assert (event.type, event.data.object.name) == ("customer.created", "A")
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(*endpoint.received[0], "whsec_other")

    def test_is_made_by_the_real_clock(self, hooked, endpoint):
        server = hooked(now=lambda: datetime.now(UTC) + timedelta(days=400))
        client_of(server.base_url).v1.customers.create({})
        until(lambda: endpoint.received)
        (event,) = events(endpoint)  # construct_event refuses what is older than 300 s
        assert event.created > time.time() + 399 * 86_400
        made_at = int(endpoint.received[0][1].split(",")[0].removeprefix("t="))
        assert abs(made_at - time.time()) < 60

    def test_one_for_each_secret_while_one_is_replaced(self):
        header = signature(["whsec_new", "whsec_old"], b'{"id": "evt_1", "object": "event"}')
        assert header.count("v1=") == 2
        for secret in ("whsec_new", "whsec_old"):
            assert stripe.Webhook.construct_event(b'{"id": "evt_1", "object": "event"}', header, secret)


class TestDelivery:
    @pytest.mark.parametrize("status", [500, 404, 302])
    def test_tried_again_until_taken(self, hooked, endpoint, status):
        endpoint.refusals.append(status)
        server = hooked(automatic=False)
        client_of(server.base_url).v1.customers.create({})
        assert server.deliverer.deliver_pending() == 0
        assert server.deliverer.deliver_pending() == 0
        assert len(endpoint.received) == 1
        assert [event["type"] for event in server.deliverer.pending()] == ["customer.created"]
        assert server.deliverer.deliver_pending(at_once=True) == 1
        assert server.deliverer.pending() == []
        assert len({event.id for event in events(endpoint)}) == 1

    def test_tried_again_by_itself(self, hooked, endpoint):
        endpoint.refusals.append(500)
        server = hooked()
        client_of(server.base_url).v1.customers.create({})
        until(lambda: not server.deliverer.pending())
        assert len(endpoint.received) == 2

    def test_what_an_earlier_run_could_not_deliver_comes_at_once(self, serving, endpoint, tmp_path):
        path, options = tmp_path / "kept.sqlite", {"webhook_secret": SECRET}
        first = serving(path=path, webhook_url="http://127.0.0.1:9/", **options)
        client_of(first.base_url).v1.customers.create({})
        until(lambda: first.store.query("SELECT 1 FROM deliveries WHERE attempts > 0"))
        first.deliverer.stop()
        serving(path=path, webhook_url=endpoint.url, **options)
        until(lambda: endpoint.received, seconds=3)

    def test_copies_are_the_same_event(self, hooked, endpoint):
        server = hooked(automatic=False, copies=3)
        client_of(server.base_url).v1.customers.create({})
        server.deliverer.deliver_pending()
        assert [event.id for event in events(endpoint)] == [events(endpoint)[0].id] * 3

    def test_one_fact_under_two_ids(self, hooked, endpoint):
        server = hooked(automatic=False, ids_per_fact=2)
        client_of(server.base_url).v1.customers.create({})
        server.deliverer.deliver_pending()
        first, second = events(endpoint)
        assert first.id != second.id
        assert first.data.object.id == second.data.object.id

    def test_another_order(self, hooked, endpoint):
        server = hooked(automatic=False, shuffle_seed=1)
        client = client_of(server.base_url)
        made = [client.v1.customers.create({"name": str(number)}).id for number in range(9)]
        server.deliverer.deliver_pending()
        arrived = [event.data.object.id for event in events(endpoint)]
        assert sorted(arrived) == sorted(made) and arrived != made

    def test_a_given_order_and_again(self, hooked, endpoint):
        server = hooked(automatic=False)
        client = client_of(server.base_url)
        for name in "abc":
            client.v1.customers.create({"name": name})
        first, second, third = (event["id"] for event in server.deliverer.pending())
        assert server.deliverer.deliver(third, first, third) == 3
        assert [event.id for event in events(endpoint)] == [third, first, third]
        assert [event["id"] for event in server.deliverer.pending()] == [second]

    def test_delay(self, hooked, endpoint):
        server = hooked(automatic=False, delay_seconds=30)
        client_of(server.base_url).v1.customers.create({})
        assert server.deliverer.deliver_pending() == 0
        assert server.deliverer.deliver_pending(at_once=True) == 1

    def test_expired_sessions_are_told_though_nobody_looks(self, hooked, endpoint):
        clock = [datetime(2026, 1, 1, tzinfo=UTC)]
        server = hooked(now=lambda: clock[0])
        new_session(client_of(server.base_url))
        clock[0] += timedelta(days=2)
        until(lambda: any(event.type == "checkout.session.expired" for event in events(endpoint)))


class TestEvents:
    def test_undone_effect_tells_nothing(self, client, server):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.prices.create(
                {"currency": "usd", "unit_amount": 1, "product_data": {"name": "A"}, "expand": ["colour"]}
            )
        assert client.v1.events.list().data == []
        assert list(server.store.all("product")) == []

    def test_tell_the_object_as_it_was(self, client, server):
        made = client.v1.customers.create({"name": "Before"})
        client.v1.customers.update(made.id, {"name": "After"})
        after, before = client.v1.events.list({"type": "customer.*"}).data
        assert (before.data.object.name, after.data.object.name) == ("Before", "After")
        assert client.v1.events.retrieve(before.id).type == "customer.created"

    def test_name_the_call_that_made_them(self, client):
        made = client.v1.customers.create({}, {"idempotency_key": "one"})
        event = client.v1.events.list().data[0]
        assert event.request.id == made.last_response.request_id
        assert event.request.idempotency_key == "one"

    def test_show_nothing_of_the_sandboxs_own(self, client, server):
        session = new_session(client)
        pay_checkout(server.store, session.id)
        completed = client.v1.events.list({"type": "checkout.session.completed"}).data[0]
        assert not [name for name in completed.data.object.to_dict() if name.startswith("_")]
        assert not hasattr(completed.data.object, "line_items")

    def test_found_by_kind(self, client, server):
        pay_checkout(server.store, new_session(client).id)
        for filters, count in (
            ({"type": "charge.succeeded"}, 1), ({"types": ["charge.succeeded", "invoice.paid"]}, 2),
            ({"type": "payment_intent.*"}, 2), ({"type": "colour.changed"}, 0),
        ):  # fmt: skip
            assert len(client.v1.events.list(filters).data) == count
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.events.list({"type": "a.b", "types": ["a.b"]})

    def test_found_by_delivery(self, hooked, endpoint):
        server = hooked(automatic=False)
        client = client_of(server.base_url)
        client.v1.customers.create({})
        server.deliverer.deliver_pending()
        client.v1.products.create({"name": "A"})
        for success, kind in ((True, "customer.created"), (False, "product.created")):
            assert [e.type for e in client.v1.events.list({"delivery_success": success}).data] == [kind]

    def test_listed_for_thirty_days(self, serving):
        clock = [datetime(2026, 1, 1, tzinfo=UTC)]
        client = client_of(serving(now=lambda: clock[0]).base_url)
        client.v1.customers.create({})
        clock[0] += timedelta(days=30)
        assert len(client.v1.events.list().data) == 1
        clock[0] += timedelta(seconds=1)
        assert client.v1.events.list().data == []

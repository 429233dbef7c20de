"""The gateway: how long it waits, where it talks to, what it never does."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from flask import Flask

from errors import InvalidRequest, PaymentProviderUnavailable
from gateways.payments import CustomerRequest, Terms, UnknownToProvider
from gateways.stripe_gateway import StripeGateway
from gateways.stripe_transport import LOOPBACK
from sandbox.faults import Fault
from services.unit_of_work import atomic, unit_is_open
from tests.sandbox.spec import problems_of_request
from tests.shop import BASE_URL, KEY, Shop

TERMS = Terms(base_url=BASE_URL)


@pytest.fixture
def silent_address() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def customer(email: str | None = None) -> CustomerRequest:
    return CustomerRequest(key="order-1", instance="i", account_id="a", name="Acme", email=email)


class TestWaiting:
    def test_nobody_waits_ten_seconds(self, app: Flask, silent_address: str) -> None:
        gateway = StripeGateway(KEY, silent_address, TERMS, unit_is_open)
        began = time.monotonic()
        with pytest.raises(PaymentProviderUnavailable), gateway.patience():
            try:
                gateway.create_customer(customer())
            finally:
                with pytest.raises(PaymentProviderUnavailable):
                    gateway.checkout_session("cs_1")
        assert 5 < time.monotonic() - began < 10

    def test_one_slow_call_does_not_hold_another_thread(self, shop: Shop) -> None:
        shop.server.faults.plan(Fault("slow", path="/v1/customers", seconds=2))
        slow = threading.Thread(target=self._customer_in_context, args=(shop,))
        slow.start()
        time.sleep(0.2)
        began = time.monotonic()
        with pytest.raises(UnknownToProvider):
            shop.payments.charge("ch_none")
        assert time.monotonic() - began < 1
        slow.join()

    @staticmethod
    def _customer_in_context(shop: Shop) -> None:
        with shop.app.app_context():
            shop.payments.create_customer(customer())


class TestWhere:
    def test_every_address_is_the_base(self, app: Flask) -> None:
        gateway = StripeGateway(KEY, "http://127.0.0.1:9", TERMS, unit_is_open)
        addresses = gateway._client._requestor._options.base_addresses
        assert set(addresses.values()) == {"http://127.0.0.1:9"}
        assert "127.0.0.1" in LOOPBACK

    def test_a_wrong_key_is_unavailable(self, shop: Shop) -> None:
        gateway = StripeGateway("sk_test_wrong", shop.server.base_url, TERMS, unit_is_open)
        with pytest.raises(PaymentProviderUnavailable, match="key"):
            gateway.charge("ch_1")

    def test_a_redirect_is_not_followed(self, app: Flask) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(5)
            threading.Thread(target=_redirect, args=(listener,), daemon=True).start()
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            gateway = StripeGateway(KEY, address, TERMS, unit_is_open, retries=0)
            with pytest.raises(PaymentProviderUnavailable):
                gateway.charge("ch_1")


def _redirect(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")


class TestUnits:
    def test_no_call_inside_a_unit_of_work(self, shop: Shop) -> None:
        with pytest.raises(AssertionError, match="unit of work"):
            atomic(lambda: shop.payments.charge("ch_1"))()
        assert not any(call[1].startswith("/v1/charges") for call in shop.server.api.calls)


class TestRequests:
    def test_every_one_is_a_call_of_stripes(self, shop: Shop) -> None:
        first, second = shop.start(key="a"), shop.start(key="b")
        shop.pay(first.session_id)
        session = shop.payments.checkout_session(first.session_id)
        assert session.payment_intent_id is not None and session.order_id is not None
        intent = shop.payments.payment_intent(session.payment_intent_id)
        assert intent.charge_id is not None
        assert shop.payments.charge(intent.charge_id).amount_cents == 3500
        assert shop.payments.expire_checkout(second.session_id).status == "expired"
        found = shop.payments.session_of_intent(session.payment_intent_id)
        assert found is not None and found.id == first.session_id
        customer_id = shop.calls("/v1/checkout/sessions")[0]["customer"]
        found = shop.payments.session_of_order(session.order_id, customer_id)
        assert found is not None and found.id == first.session_id
        assert shop.payments.session_of_order("none", customer_id) is None
        for method, path, given in shop.server.api.calls:
            assert problems_of_request(method, path, given) == [], (method, path)

    def test_tax_is_asked_for_where_it_is_set(self, shop: Shop) -> None:
        terms = Terms(base_url=BASE_URL, automatic_tax=True)
        shop.payments = StripeGateway(KEY, shop.server.base_url, terms, unit_is_open)
        shop.start()
        (given,) = shop.calls("/v1/checkout/sessions")
        assert problems_of_request("POST", "/v1/checkout/sessions", given) == []
        assert given["automatic_tax"] == {"enabled": "true"}
        assert given["line_items"][0]["price_data"]["tax_behavior"] == "exclusive"


class TestErrors:
    def test_unknown_objects(self, shop: Shop) -> None:
        for call in (
            shop.payments.charge, shop.payments.checkout_session, shop.payments.payment_intent,
            shop.payments.dispute,
        ):  # fmt: skip
            with pytest.raises(UnknownToProvider):
                call("none")

    def test_a_refused_request_names_the_email(self) -> None:
        import stripe

        from gateways.stripe_gateway import _translated

        refusal = stripe.InvalidRequestError("Invalid email address", "email", http_status=400)
        assert isinstance(_translated(refusal), InvalidRequest)

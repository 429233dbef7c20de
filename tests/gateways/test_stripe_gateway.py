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

"""A sandbox over HTTP and the real Stripe library talking to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from sandbox import SandboxServer

KEY = "sk_test_sandbox"


def client_of(base_url: str, key: str = KEY, timeout: float = 5) -> stripe.StripeClient:
    """The real library, without retries, against a sandbox."""
    return stripe.StripeClient(
        key,
        base_addresses={"api": base_url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=timeout),
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SandboxServer]:
    """A sandbox on a free port."""
    running = SandboxServer(tmp_path / "sandbox.sqlite", KEY).start()
    yield running
    running.stop()


@pytest.fixture
def client(server: SandboxServer) -> stripe.StripeClient:
    """The library against it."""
    return client_of(server.base_url)


def checkout_parameters(**more: object) -> dict:
    """A package of credits for $9, as Coffer asks for it."""
    return {
        "mode": "payment",
        "line_items": [
            {
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 900,
                    "product_data": {"name": "1,000 credits"},
                },
                "quantity": 1,
            }
        ],
        "success_url": "https://shop.test/ok?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.test/back",
        "client_reference_id": "order-1",
        "metadata": {"order": "order-1"},
        "payment_intent_data": {"metadata": {"order": "order-1"}},
        "invoice_creation": {"enabled": True},
        **more,
    }

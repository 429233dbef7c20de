"""A sandbox over HTTP and the real Stripe library talking to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from sandbox import SandboxServer
from tests.sandbox.spec import is_at_hand, problems_of_answer, problems_of_response

KEY = "sk_test_sandbox"
GOOD = "4242424242424242"
DECLINED = "4000000000000002"
SECURE = "4000002760003184"
BANK = "000123456789"


def client_of(base_url: str, key: str = KEY, timeout: float = 5) -> stripe.StripeClient:
    """The real library, without retries, against a sandbox."""
    return stripe.StripeClient(
        key,
        base_addresses={"api": base_url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=timeout),
    )


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., SandboxServer]]:
    """Sandboxes on free ports, each on a file of its own. Every answer and event is held against the
    description of Stripe's API, where there is one."""
    running: list[SandboxServer] = []
    problems: list[str] = []

    def watch(method: str, path: str, given: dict[str, Any], status: int, body: dict[str, Any]) -> None:
        problems.extend(
            f"{method} {path} {status}: {found}" for found in problems_of_response(method, path, status, body)
        )

    def start(**options: Any) -> SandboxServer:
        path = options.pop("path", tmp_path / f"sandbox{len(running)}.sqlite")
        server = SandboxServer(path, KEY, **options)
        if is_at_hand():
            server.api.on_answer = watch
        running.append(server)
        return server.start()

    yield start
    for server in running:
        for event in server.store.all("event") if is_at_hand() else ():
            item = event["data"]["object"]
            found = problems_of_answer(item["object"], item) + problems_of_answer("event", event)
            problems += [f"{event['type']}: {each}" for each in found]
        server.stop()
    assert not problems, "\n".join(dict.fromkeys(problems))


@pytest.fixture
def server(serving: Callable[..., SandboxServer]) -> SandboxServer:
    """A sandbox on a free port."""
    return serving()


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


def new_session(client: stripe.StripeClient, **more: object) -> stripe.checkout.Session:
    """A session as Coffer makes one."""
    return client.v1.checkout.sessions.create(checkout_parameters(**more))  # type: ignore[arg-type]


def event_types(client: stripe.StripeClient) -> list[str]:
    """Every event so far, oldest first."""
    listed = client.v1.events.list({"limit": 100})
    return [event.type for event in listed.auto_paging_iter()][::-1]

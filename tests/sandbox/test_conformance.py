"""Each answer of the sandbox against the description of Stripe's API."""

import json
from typing import Any

import pytest
import requests

from sandbox import SandboxServer
from sandbox.checkout import pay_checkout
from sandbox.routing import ROUTES
from tests.sandbox.conftest import KEY, checkout_parameters
from tests.sandbox.spec import problems_of_answer, problems_of_request, spec


def flat(given: Any, name: str = "") -> dict[str, str]:
    """Nested parameters as the form names that Stripe takes."""
    if isinstance(given, dict):
        pairs = given.items()
    elif isinstance(given, list):
        pairs = enumerate(given)
    else:
        return {name: json.dumps(given) if isinstance(given, bool) else str(given)}
    return {
        key: value
        for part, item in pairs
        for key, value in flat(item, f"{name}[{part}]" if name else str(part)).items()
    }


@pytest.fixture
def call(server: SandboxServer):
    """Call the API without the library, so that the raw answer is seen."""

    def send(method: str, path: str, **given: Any) -> dict[str, Any]:
        fields = "data" if method == "POST" else "params"
        answer = requests.request(
            method, server.base_url + path, auth=(KEY, ""), timeout=5, **{fields: flat(given)}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    return send


class TestConformance:
    def test_every_answer_is_an_object_of_stripes(self, server, call):
        spec()
        customer = call("POST", "/v1/customers", email="a@shop.test", metadata={"account": "x"})
        product = call("POST", "/v1/products", name="Credits", metadata={"type": "credit_package"})
        price = call("POST", "/v1/prices", product=product["id"], currency="usd", unit_amount=900)
        session = call("POST", "/v1/checkout/sessions", **checkout_parameters(customer=customer["id"]))
        expired = call("POST", "/v1/checkout/sessions", **checkout_parameters())
        expired = call("POST", f"/v1/checkout/sessions/{expired['id']}/expire")
        pay_checkout(server.store, session["id"], "4000000000000002")
        pay_checkout(server.store, session["id"])
        paid = call("GET", f"/v1/checkout/sessions/{session['id']}", expand=["line_items"])
        intent = call("GET", f"/v1/payment_intents/{paid['payment_intent']}")
        method = call("GET", f"/v1/payment_methods/{intent['payment_method']}")
        refund = call("POST", "/v1/refunds", payment_intent=intent["id"], amount=300)
        answers = [
            ("customer", customer), ("product", product), ("price", price), ("checkout.session", session),
            ("checkout.session", expired), ("checkout.session", paid), ("payment_intent", intent),
            ("payment_method", method), ("refund", refund), ("item", paid["line_items"]["data"][0]),
            ("charge", call("GET", f"/v1/charges/{intent['latest_charge']}")),
            ("invoice", call("GET", f"/v1/invoices/{paid['invoice']}")),
            ("account", call("GET", "/v1/account")), ("balance", call("GET", "/v1/balance")),
            *(
                (event["data"]["object"]["object"], event["data"]["object"])
                for event in call("GET", "/v1/events", limit=100)["data"]
            ),
        ]  # fmt: skip
        problems = {kind: problems_of_answer(kind, answer) for kind, answer in answers}
        assert {kind: found for kind, found in problems.items() if found} == {}

    def test_every_parameter_that_is_taken_is_stripes(self):
        spec()
        refused_here = {"payment_method_types"}
        problems = {
            f"{route.method} {route.path}": problems_of_request(
                route.method,
                route.path.replace("ID", "some_id"),
                dict.fromkeys(set(route.shape.fields) - refused_here, ""),
            )
            for route in ROUTES
        }
        assert {name: found for name, found in problems.items() if found} == {}

"""The sandbox against the description of Stripe's API, and the check itself against planted mistakes.

Every other test of the sandbox is held against it too: see ``serving`` in conftest.
"""

from typing import Any

import pytest

from sandbox.parameters import Shape, integer, metadata, one_of, string
from sandbox.routing import ROUTES
from tests.sandbox.conftest import client_of, new_session
from tests.sandbox.spec import (
    problems_of_answer,
    problems_of_request,
    problems_of_response,
    problems_of_shape,
    spec,
)

# Known to Stripe's older versions; the sandbox knows the name only to say why it refuses it.
REFUSED_HERE = {"payment_method_types"}
# Of answers, to be spoiled.
REFUND: dict[str, Any] = {"id": "re_1", "object": "refund", "amount": 5, "created": 1, "currency": "usd"}


def test_every_call_takes_only_what_stripe_takes():
    spec()
    found = {
        f"{route.method} {route.path}": problems_of_shape(
            route.method, route.path.replace("ID", "some_id"), route.shape, REFUSED_HERE
        )
        for route in ROUTES
    }
    assert len(found) > 40
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_account_and_balance_are_objects_of_stripes(serving):
    spec()
    server = serving(seller="Acme")
    client = client_of(server.base_url)
    assert client.v1.accounts.retrieve_current().business_profile.name == "Acme"
    assert client.v1.balance.retrieve().available == []


@pytest.mark.parametrize(
    "spoiled",
    [
        {"amount": "5"}, {"amount": None}, {"colour": "blue"}, {"pending_reason": "mood"},
        {"destination_details": {"card": {}}}, {"metadata": {"a": 1}}, {"charge": 5},
    ],
)  # fmt: skip
def test_a_wrong_answer_is_found(spoiled):
    spec()
    assert problems_of_answer("refund", REFUND) == []
    assert problems_of_answer("refund", REFUND | spoiled)
    assert problems_of_response("GET", "/v1/refunds/re_1", 200, REFUND | spoiled)


def test_a_wrong_error_is_found():
    spec()
    error = {"type": "card_error", "message": "No.", "code": "card_declined"}
    assert problems_of_response("POST", "/v1/refunds", 402, {"error": error}) == []
    for spoiled in ({"type": "mood"}, {"code": "mood"}, {"colour": "blue"}):
        assert problems_of_response("POST", "/v1/refunds", 402, {"error": error | spoiled})


@pytest.mark.parametrize(
    "spoiled",
    [
        {"colour": "blue"}, {"mode": "rent"}, {"expires_at": "soon"}, {"line_items": "one"},
        {"line_items": [{"price_data": {"unit_amount": "1"}}]}, {"metadata": {"a": {"b": "c"}}},
        {"automatic_tax": {"enabled": "yes"}}, {"line_items": [{"colour": "blue"}]},
    ],
)  # fmt: skip
def test_a_wrong_request_is_found(server, client, spoiled):
    spec()
    new_session(client)
    method, path, given = server.api.calls[-1]
    assert problems_of_request(method, path, given) == []
    assert problems_of_request(method, path, given | spoiled)


@pytest.mark.parametrize(
    "looser",
    [
        Shape(("amount", "currency"), amount=integer, currency=string, colour=string),
        Shape(("amount", "currency"), amount=string, currency=string),
        Shape((), amount=integer, currency=string),
        Shape(("amount", "currency"), amount=integer, currency=metadata),
        Shape(("amount", "currency"), amount=integer, currency=string, capture_method=one_of("never")),
        Shape(("amount", "currency"), amount=integer, currency=string, shipping=Shape(colour=string)),
    ],
)
def test_a_call_that_takes_more_is_found(looser):
    spec()
    strict = Shape(("amount", "currency"), amount=integer, currency=string)
    assert problems_of_shape("POST", "/v1/payment_intents", strict, set()) == []
    assert problems_of_shape("POST", "/v1/payment_intents", looser, set())

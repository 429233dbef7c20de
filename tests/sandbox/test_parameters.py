"""What the sandbox refuses, as Stripe does: names, types, keys, objects that are not there."""

import pytest
import requests
import stripe

from tests.sandbox.conftest import KEY, checkout_parameters, client_of, new_session


def refusal_of(call) -> stripe.InvalidRequestError:
    """The refusal of a call."""
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        call()
    return refusal.value


class TestNames:
    def test_unknown_is_refused_by_name(self, client, server):
        refusal = refusal_of(lambda: client.v1.customers.create({"colour": "blue"}))
        assert (refusal.http_status, refusal.param, refusal.code) == (400, "colour", "parameter_unknown")
        assert list(server.store.all("customer")) == []

    @pytest.mark.parametrize("name", ["mode", "success_url"])
    def test_missing_is_refused_by_name(self, client, name):
        given = checkout_parameters()
        del given[name]
        refusal = refusal_of(lambda: client.v1.checkout.sessions.create(given))
        assert (refusal.param, refusal.code) == (name, "parameter_missing")

    def test_nested_unknown_is_refused_with_its_path(self, client):
        given = checkout_parameters()
        given["line_items"][0]["price_data"]["product_data"]["colour"] = "blue"
        refusal = refusal_of(lambda: client.v1.checkout.sessions.create(given))
        assert refusal.param == "line_items[0][price_data][product_data][colour]"

    def test_nested_missing_is_refused_with_its_path(self, client):
        given = checkout_parameters(automatic_tax={})
        given["line_items"][0]["price_data"].pop("currency")
        refusal = refusal_of(lambda: client.v1.checkout.sessions.create(given))
        assert refusal.param == "line_items[0][price_data][currency]"

    def test_payment_method_types_may_no_longer_be_sent(self, client):
        for call in (
            lambda: new_session(client, payment_method_types=["card"]),
            lambda: client.v1.payment_intents.create(
                {"amount": 900, "currency": "usd", "payment_method_types": ["card"]}
            ),
        ):
            refusal = refusal_of(call)
            assert refusal.param.startswith("payment_method_types")
            assert refusal.code == "parameter_unknown"

    def test_metadata_with_numbers_for_names_is_kept(self, client):
        made = client.v1.customers.create({"metadata": {"0": "zero", "7": "seven"}})
        assert made.metadata.to_dict() == {"0": "zero", "7": "seven"}

    def test_unknown_call_is_no_call(self, server):
        answer = requests.get(f"{server.base_url}/v1/colours", auth=(KEY, ""), timeout=5)
        assert answer.status_code == 404
        assert "Unrecognized request URL" in answer.json()["error"]["message"]


class TestTypes:
    @pytest.mark.parametrize(
        ("given", "param", "code"),
        [
            ({"amount": "many"}, "amount", "parameter_invalid_integer"),
            ({"amount": "9.5"}, "amount", "parameter_invalid_integer"),
            ({"amount": -5}, "amount", "parameter_invalid_integer"),
            ({"amount": 49}, "amount", "amount_too_small"),
            ({"currency": "xyz"}, "currency", None),
            ({"confirm": "maybe"}, "confirm", None),
            ({"capture_method": "never"}, "capture_method", None),
            ({"metadata": {"key": "x" * 501}}, "metadata[key]", None),
            ({"metadata": {"k" * 41: "x"}}, f"metadata[{'k' * 41}]", None),
            ({"receipt_email": "nobody"}, "receipt_email", "email_invalid"),
            ({"customer": ""}, "customer", "parameter_invalid_empty"),
            ({"transfer_data": {"destination": "acct_1"}}, "transfer_data[destination]", "resource_missing"),
        ],
    )
    def test_wrong_value_is_refused_by_name(self, client, given, param, code):
        whole = {"amount": 900, "currency": "usd", **given}
        refusal = refusal_of(lambda: client.v1.payment_intents.create(whole))
        assert (refusal.param, refusal.code) == (param, code)

    @pytest.mark.parametrize(
        "body", [b"{", b'{"name": "a"}', b"name=%ff\xff", b"a[b=1", b"a[b][c][d][e][f][g][h][i][j]=1"]
    )
    def test_odd_body_is_a_bad_request(self, server, body):
        answer = requests.post(f"{server.base_url}/v1/customers", data=body, auth=(KEY, ""), timeout=5)
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "invalid_request_error"


class TestKeys:
    @pytest.mark.parametrize(
        "header",
        [None, "Bearer", "Bearer sk_test_other", "Basic !!!", "Basic c2s=", "Digest sk_test_sandbox"],
    )
    def test_wrong_or_missing_key_is_refused(self, server, header):
        headers = {"Authorization": header} if header else {}
        answer = requests.get(f"{server.base_url}/v1/customers", headers=headers, timeout=5)
        assert answer.status_code == 401

    def test_the_library_says_so(self, server):
        with pytest.raises(stripe.AuthenticationError):
            client_of(server.base_url, "sk_test_other").v1.customers.list()

    def test_key_as_user_name_is_taken(self, server):
        answer = requests.get(f"{server.base_url}/v1/customers", auth=(KEY, ""), timeout=5)
        assert answer.status_code == 200
        assert answer.headers["Request-Id"].startswith("req_")
        assert answer.headers["Stripe-Version"] == "2026-10-28.endive"


class TestExpansion:
    def test_ids_become_objects_at_any_depth(self, client):
        customer = client.v1.customers.create({"email": "a@shop.test"})
        intent = client.v1.payment_intents.create(
            {
                "amount": 900, "currency": "usd", "customer": customer.id, "payment_method": "pm_card_visa",
                "confirm": True, "expand": ["latest_charge.customer", "payment_method"],
            }
        )  # fmt: skip
        assert intent.latest_charge.customer.email == "a@shop.test"
        assert intent.payment_method.card.last4 == "4242"
        listed = client.v1.payment_intents.list({"expand": ["data.latest_charge"]})
        assert listed.data[0].latest_charge.amount == 900
        assert isinstance(listed.data[0].customer, str)

    @pytest.mark.parametrize("path", ["colour", "email", "metadata.colour", "a.b.c.d.e"])
    def test_what_cannot_be_expanded_is_refused(self, client, path):
        made = client.v1.customers.create({"email": "a@shop.test"})
        with pytest.raises(stripe.InvalidRequestError, match="expand"):
            client.v1.customers.retrieve(made.id, {"expand": [path]})

    def test_refused_expansion_has_no_effect(self, client, server):
        with pytest.raises(stripe.InvalidRequestError, match="expand"):
            client.v1.customers.create({"expand": ["colour"]})
        assert list(server.store.all("customer")) == []


class TestMissing:
    def test_unknown_object_is_missing(self, client):
        refusal = refusal_of(lambda: client.v1.customers.retrieve("cus_none"))
        assert (refusal.http_status, refusal.code) == (404, "resource_missing")

    def test_unknown_object_named_by_a_parameter_is_missing(self, client):
        refusal = refusal_of(lambda: new_session(client, customer="cus_none"))
        assert (refusal.param, refusal.code) == ("customer", "resource_missing")
        refusal = refusal_of(lambda: new_session(client, discounts=[{"coupon": "WELCOME"}]))
        assert (refusal.param, refusal.code) == ("discounts[0][coupon]", "resource_missing")

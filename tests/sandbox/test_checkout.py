"""Checkout Sessions: made, paid, declined, settled later, expired."""

from datetime import UTC, datetime, timedelta

import pytest
import stripe

from sandbox.checkout import expire_due
from sandbox.paying import pay_checkout, refuse_authentication, settle_debit
from tests.sandbox.conftest import (
    BANK,
    DECLINED,
    SECURE,
    checkout_parameters,
    client_of,
    event_types,
    new_session,
)


def retrieved(client, session, *expand: str) -> stripe.checkout.Session:
    """The session as it is now."""
    return client.v1.checkout.sessions.retrieve(session.id, {"expand": list(expand)})


class TestCreating:
    def test_shows_what_it_was_given(self, client):
        session = new_session(client)
        assert (session.status, session.payment_status, session.amount_total) == ("open", "unpaid", 900)
        assert (session.client_reference_id, session.metadata.order) == ("order-1", "order-1")
        assert session.payment_intent is None and session.invoice is None
        assert session.id.startswith("cs_test_") and session.id in session.url
        assert not hasattr(session, "line_items")

    def test_several_prices_add_up(self, client):
        product = client.v1.products.create({"name": "Credits"})
        price = client.v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 500})
        parts = client.v1.prices.create(
            {"product": product.id, "currency": "usd", "unit_amount_decimal": "0.5"}
        )
        items = [{"price": price.id, "quantity": 2}, {"price": parts.id, "quantity": 3}]
        session = new_session(client, line_items=items, expand=["line_items"])
        assert session.amount_total == 1002
        assert [line.amount_total for line in session.line_items.data] == [1000, 2]
        listed = client.v1.checkout.sessions.line_items.list(session.id, {"limit": 1})
        assert (listed.data[0].description, listed.has_more) == ("Credits", True)
        assert len(list(listed.auto_paging_iter())) == 2

    @pytest.mark.parametrize(
        ("change", "param"),
        [
            ({"line_items": []}, "line_items"),
            ({"line_items": [{"price": "price_none", "quantity": 1}]}, "line_items[0][price]"),
            ({"mode": "rent"}, "mode"),
            ({"mode": "subscription"}, "invoice_creation"),
            ({"expires_at": 1}, "expires_at"),
            ({"success_url": "shop"}, "success_url"),
            ({"customer_email": "nobody"}, "customer_email"),
            ({"customer_update": {"name": "auto"}}, "customer_update"),
            ({"payment_intent_data": {"on_behalf_of": "acct_1"}}, "payment_intent_data[on_behalf_of]"),
            ({"currency": "eur"}, "line_items"),
        ],
    )
    def test_what_stripe_refuses(self, client, server, change, param):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            new_session(client, **change)
        assert refusal.value.param == param
        assert [list(server.store.all(kind)) for kind in ("checkout.session", "product", "event")] == [[]] * 3

    def test_customer_and_email_exclude_each_other(self, client):
        customer = client.v1.customers.create({})
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            new_session(client, customer=customer.id, customer_email="a@shop.test")
        assert refusal.value.param == "customer_email"

    def test_inactive_and_recurring_prices_cannot_be_bought(self, client):
        product = client.v1.products.create({"name": "Credits"})
        given = {"product": product.id, "currency": "usd", "unit_amount": 500}
        gone = client.v1.prices.create({**given, "active": False})
        monthly = client.v1.prices.create({**given, "recurring": {"interval": "month"}})
        for price in (gone, monthly):
            with pytest.raises(stripe.InvalidRequestError):
                new_session(client, line_items=[{"price": price.id, "quantity": 1}])

    def test_tax_needs_an_address_or_leave_to_take_one(self, client):
        customer = client.v1.customers.create({})
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            new_session(client, customer=customer.id, automatic_tax={"enabled": True})
        assert refusal.value.code == "customer_tax_location_invalid"

    @pytest.mark.parametrize(
        ("behavior", "total", "tax"), [("exclusive", 1071, 171), ("inclusive", 900, 144)]
    )
    def test_tax_is_added_or_within(self, serving, behavior, total, tax):
        server = serving(tax_percent=19)
        client = client_of(server.base_url)
        given = checkout_parameters(automatic_tax={"enabled": True})
        given["line_items"][0]["price_data"]["tax_behavior"] = behavior
        session = client.v1.checkout.sessions.create(given)
        assert (session.amount_subtotal, session.amount_total) == (900, total)
        assert session.total_details.amount_tax == tax
        invoice = client.v1.invoices.retrieve(pay_checkout(server.store, session.id)["invoice"])
        assert (invoice.total, invoice.total_taxes[0].amount) == (total, tax)


class TestPaying:
    def test_leaves_intent_charge_invoice_and_events(self, client, server):
        customer = client.v1.customers.create({"email": "a@shop.test"})
        session = new_session(
            client, customer=customer.id,
            invoice_creation={"enabled": True, "invoice_data": {"metadata": {"order": "order-1"}}},
        )  # fmt: skip
        pay_checkout(server.store, session.id)
        paid = retrieved(client, session, "payment_intent.latest_charge", "invoice.payments", "line_items")
        assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
        assert paid.customer_details.email == "a@shop.test"
        assert paid.payment_intent.metadata.order == "order-1"
        assert paid.payment_intent.latest_charge.amount_captured == 900
        assert (paid.invoice.status, paid.invoice.metadata.order) == ("paid", "order-1")
        assert paid.invoice.payments.data[0].payment.payment_intent == paid.payment_intent.id
        wanted = {"type": "payment_intent", "payment_intent": paid.payment_intent.id}
        found = client.v1.invoice_payments.list({"payment": wanted})
        assert [payment.invoice for payment in found.data] == [paid.invoice.id]
        assert {
            "payment_intent.created", "charge.succeeded", "payment_intent.succeeded",
            "checkout.session.completed", "invoice.paid",
        } <= set(event_types(client))  # fmt: skip

    def test_declined_stays_open_and_can_be_paid(self, client, server):
        session = new_session(client)
        refusal = pay_checkout(server.store, session.id, "4000000000009995")["_refusal"]
        assert "insufficient funds" in refusal
        first = retrieved(client, session, "payment_intent")
        assert (first.status, first.payment_intent.status) == ("open", "requires_payment_method")
        assert first.payment_intent.last_payment_error.decline_code == "insufficient_funds"
        pay_checkout(server.store, session.id)
        paid = retrieved(client, session)
        assert (paid.payment_status, paid.payment_intent) == ("paid", first.payment_intent.id)
        assert event_types(client).count("payment_intent.payment_failed") == 1
        assert len(client.v1.charges.list({"payment_intent": paid.payment_intent}).data) == 2

    def test_three_d_secure_asks_first(self, client, server):
        session = new_session(client)
        assert pay_checkout(server.store, session.id, SECURE)["_refusal"] == "requires_action"
        refuse_authentication(server.store, session.id)
        failed = retrieved(client, session, "payment_intent").payment_intent
        assert failed.last_payment_error.code == "payment_intent_authentication_failure"
        assert pay_checkout(server.store, session.id, SECURE)["_refusal"] == "requires_action"
        pay_checkout(server.store, session.id, SECURE, authenticated=True)
        assert retrieved(client, session).payment_status == "paid"

    @pytest.mark.parametrize(("succeeds", "status"), [(True, "paid"), (False, "unpaid")])
    def test_bank_debit_is_settled_later(self, client, server, succeeds, status):
        session = new_session(client)
        pay_checkout(server.store, session.id, BANK)
        waiting = retrieved(client, session)
        assert (waiting.status, waiting.payment_status, waiting.invoice) == ("complete", "unpaid", None)
        settle_debit(server.store, session.id, succeeds=succeeds)
        settled = retrieved(client, session)
        assert (settled.payment_status, settled.invoice is not None) == (status, succeeds)
        outcome = "succeeded" if succeeds else "failed"
        assert event_types(client)[-1] == f"checkout.session.async_payment_{outcome}"
        with pytest.raises(Exception, match="nothing is to settle"):
            settle_debit(server.store, session.id)

    def test_only_once(self, client, server):
        session = new_session(client)
        pay_checkout(server.store, session.id)
        with pytest.raises(Exception, match="complete"):
            pay_checkout(server.store, session.id)
        assert len(client.v1.charges.list().data) == 1

    def test_card_is_kept_where_agreed(self, client, server):
        customer = client.v1.customers.create({})
        for usage, kept in ((None, 0), ("off_session", 1)):
            data = {"setup_future_usage": usage} if usage else {}
            session = new_session(client, customer=customer.id, payment_intent_data=data)
            pay_checkout(server.store, session.id)
            assert len(client.v1.customers.payment_methods.list(customer.id).data) == kept

    def test_customer_is_made_where_asked(self, client, server):
        session = new_session(client, customer_creation="always")
        paid = pay_checkout(server.store, session.id, email="new@shop.test")
        assert client.v1.customers.retrieve(paid["customer"]).email == "new@shop.test"

    def test_its_intent_is_checkouts_alone(self, client, server):
        session = new_session(client)
        pay_checkout(server.store, session.id, DECLINED)
        intent = retrieved(client, session).payment_intent
        for call in (
            lambda: client.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"}),
            lambda: client.v1.payment_intents.cancel(intent),
        ):
            with pytest.raises(stripe.InvalidRequestError, match="Checkout"):
                call()
        assert retrieved(client, session).payment_status == "unpaid"


class TestExpiring:
    def test_by_call(self, client, server):
        session = new_session(client)
        pay_checkout(server.store, session.id, DECLINED)
        expired = client.v1.checkout.sessions.expire(session.id)
        assert (expired.status, expired.url) == ("expired", None)
        intent = client.v1.payment_intents.retrieve(expired.payment_intent)
        assert (intent.status, intent.cancellation_reason) == ("canceled", "expired")
        with pytest.raises(stripe.InvalidRequestError, match="expired"):
            client.v1.checkout.sessions.expire(session.id)
        with pytest.raises(Exception, match="expired"):
            pay_checkout(server.store, session.id)

    @pytest.mark.parametrize("seen_by", ["retrieve", "list", "sweep"])
    def test_with_the_clock(self, serving, seen_by):
        clock = [datetime(2026, 1, 1, tzinfo=UTC)]
        server = serving(now=lambda: clock[0])
        client = client_of(server.base_url)
        session = new_session(client)
        clock[0] += timedelta(hours=23, minutes=59)
        assert expire_due(server.store) == 0
        clock[0] += timedelta(minutes=1)
        if seen_by == "retrieve":
            assert retrieved(client, session).status == "expired"
        elif seen_by == "list":
            assert [s.id for s in client.v1.checkout.sessions.list({"status": "expired"}).data] == [
                session.id
            ]
        else:
            assert expire_due(server.store) == 1
        assert event_types(client)[-1] == "checkout.session.expired"
        assert event_types(client).count("checkout.session.expired") == 1


class TestFinding:
    def test_by_customer_intent_and_status(self, client, server):
        customer = client.v1.customers.create({})
        mine, other = new_session(client, customer=customer.id), new_session(client)
        intent = pay_checkout(server.store, mine.id)["payment_intent"]
        for filters, wanted in (
            ({"customer": customer.id}, mine), ({"payment_intent": intent}, mine),
            ({"status": "complete"}, mine), ({"status": "open"}, other),
        ):  # fmt: skip
            assert [s.id for s in client.v1.checkout.sessions.list(filters).data] == [wanted.id]

"""Payment intents by program, payment methods, charges, refunds."""

import pytest
import stripe

from sandbox.disputes import close_dispute, open_dispute
from sandbox.intents import authenticate_intent, settle_payment
from sandbox.paying import pay_checkout
from sandbox.refunds import fail_refund
from tests.sandbox.conftest import event_types, new_session


@pytest.fixture
def customer(client) -> str:
    """A customer's id."""
    return client.v1.customers.create({"email": "a@shop.test"}).id


def pay(client, method: str = "pm_card_visa", **more) -> stripe.PaymentIntent:
    """A payment of $9 in one call."""
    return client.v1.payment_intents.create(
        {"amount": 900, "currency": "usd", "payment_method": method, "confirm": True, **more}
    )


class TestIntents:
    def test_saved_card_pays_off_session(self, client, customer):
        method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer})
        paid = pay(client, method.id, customer=customer, off_session=True)
        assert (paid.status, paid.amount_received) == ("succeeded", 900)
        charge = client.v1.charges.retrieve(paid.latest_charge)
        assert (charge.paid, charge.payment_method_details.card.last4) == (True, "4242")
        assert charge.receipt_url.endswith(charge.id)

    @pytest.mark.parametrize(
        ("method", "code", "decline_code"),
        [
            ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
            ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
            ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
            ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
            ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
            ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
            ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
            ("pm_card_radarBlock", "card_declined", "fraudulent"),
        ],
    )
    def test_decline_says_why_and_can_be_tried_again(self, client, method, code, decline_code):
        with pytest.raises(stripe.CardError) as refusal:
            pay(client, method)
        error = refusal.value.error
        assert (refusal.value.http_status, error.code, error.decline_code) == (402, code, decline_code)
        assert error.payment_intent.status == "requires_payment_method"
        assert client.v1.charges.retrieve(error.charge).status == "failed"
        again = client.v1.payment_intents.confirm(error.payment_intent.id, {"payment_method": "pm_card_visa"})
        assert (again.status, again.last_payment_error) == ("succeeded", None)

    def test_card_that_asks_is_declined_off_session(self, client, customer):
        with pytest.raises(stripe.CardError) as refusal:
            pay(client, "pm_card_authenticationRequired", customer=customer, off_session=True)
        assert refusal.value.error.code == "authentication_required"

    @pytest.mark.parametrize(
        ("succeeds", "status"), [(True, "succeeded"), (False, "requires_payment_method")]
    )
    def test_card_that_asks_is_confirmed_on_session(self, client, server, succeeds, status):
        waiting = pay(client, "pm_card_authenticationRequired", return_url="https://shop.test/back")
        assert (waiting.status, waiting.next_action.type) == ("requires_action", "redirect_to_url")
        assert authenticate_intent(server.store, waiting.id, succeeds=succeeds)["status"] == status
        assert client.v1.payment_intents.retrieve(waiting.id).status == status

    def test_card_set_up_before_does_not_ask_off_session(self, client, server, customer):
        usage = {"customer": customer, "setup_future_usage": "off_session"}
        waiting = pay(client, "pm_card_authenticationRequiredOnSetup", **usage)
        method = authenticate_intent(server.store, waiting.id)["payment_method"]
        assert pay(client, method, customer=customer, off_session=True).status == "succeeded"

    @pytest.mark.parametrize(
        ("succeeds", "status"), [(True, "succeeded"), (False, "requires_payment_method")]
    )
    def test_bank_debit_is_settled_later(self, client, server, succeeds, status):
        waiting = pay(client, "pm_usBankAccount")
        assert waiting.status == "processing"
        settle_payment(server.store, waiting.id, succeeds=succeeds)
        settled = client.v1.payment_intents.retrieve(waiting.id)
        assert (settled.status, settled.latest_charge) == (status, waiting.latest_charge)

    def test_created_then_confirmed(self, client):
        made = client.v1.payment_intents.create({"amount": 900, "currency": "usd"})
        assert made.status == "requires_payment_method"
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.payment_intents.confirm(made.id)
        assert refusal.value.param == "payment_method"
        client.v1.payment_intents.update(made.id, {"amount": 1000, "metadata": {"a": "1"}})
        done = client.v1.payment_intents.confirm(made.id, {"payment_method": "pm_card_visa"})
        assert (done.amount_received, done.metadata.a) == (1000, "1")
        for call in (client.v1.payment_intents.confirm, client.v1.payment_intents.cancel):
            with pytest.raises(stripe.InvalidRequestError) as refusal:
                call(made.id)
            assert refusal.value.code == "payment_intent_unexpected_state"

    def test_cancelled(self, client):
        made = client.v1.payment_intents.create({"amount": 900, "currency": "usd"})
        assert client.v1.payment_intents.cancel(made.id).status == "canceled"
        assert event_types(client) == ["payment_intent.created", "payment_intent.canceled"]
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.payment_intents.confirm(made.id, {"payment_method": "pm_card_visa"})

    def test_captured_in_part(self, client):
        made = pay(client, capture_method="manual")
        assert (made.status, made.amount_capturable, made.amount_received) == ("requires_capture", 900, 0)
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.payment_intents.capture(made.id, {"amount_to_capture": 901})
        done = client.v1.payment_intents.capture(made.id, {"amount_to_capture": 400})
        assert (done.status, done.amount_received) == ("succeeded", 400)
        assert client.v1.charges.retrieve(done.latest_charge).amount_captured == 400

    def test_anothers_card_is_refused(self, client, customer):
        method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer})
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            pay(client, method.id)
        assert refusal.value.param == "payment_method"
        assert client.v1.payment_intents.list().data == []

    def test_listed_by_customer(self, client, customer):
        mine = pay(client, customer=customer)
        pay(client)
        assert [i.id for i in client.v1.payment_intents.list({"customer": customer}).data] == [mine.id]


class TestMethods:
    def test_attached_made_default_and_detached(self, client, customer):
        method = client.v1.payment_methods.attach("pm_card_mastercard", {"customer": customer})
        assert (method.card.brand, method.card.last4) == ("mastercard", "4444")
        settings = {"invoice_settings": {"default_payment_method": method.id}}
        client.v1.customers.update(customer, settings)
        listed = client.v1.payment_methods.list({"customer": customer, "type": "card"})
        assert [m.id for m in listed.data] == [method.id]
        client.v1.payment_methods.detach(method.id)
        assert client.v1.payment_methods.list({"customer": customer}).data == []
        assert client.v1.customers.retrieve(customer).invoice_settings.default_payment_method is None
        assert event_types(client)[-1] == "payment_method.detached"

    def test_declined_card_is_not_attached(self, client, customer):
        with pytest.raises(stripe.CardError):
            client.v1.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer})
        assert client.v1.payment_methods.list({"customer": customer}).data == []

    def test_given_when_the_customer_is_made(self, client):
        made = client.v1.customers.create({"payment_method": "pm_card_visa"})
        assert len(client.v1.customers.payment_methods.list(made.id).data) == 1


class TestRefunds:
    def test_partial_then_full_then_no_more(self, client, server):
        intent = pay_checkout(server.store, new_session(client).id)["payment_intent"]
        client.v1.refunds.create({"payment_intent": intent, "amount": 300, "metadata": {"why": "late"}})
        charge = client.v1.charges.list({"payment_intent": intent}).data[0]
        assert (charge.amount_refunded, charge.refunded) == (300, False)
        client.v1.refunds.create({"charge": charge.id, "reason": "requested_by_customer"})
        charge = client.v1.charges.retrieve(charge.id, {"expand": ["refunds"]})
        assert (charge.amount_refunded, charge.refunded) == (900, True)
        assert [refund.amount for refund in charge.refunds.data] == [600, 300]
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.refunds.create({"payment_intent": intent})
        assert refusal.value.code == "charge_already_refunded"
        assert event_types(client)[-4:] == ["refund.created", "charge.refunded"] * 2
        assert len(client.v1.refunds.list({"payment_intent": intent}).data) == 2

    def test_too_much_is_refused(self, client):
        paid = pay(client)
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.refunds.create({"payment_intent": paid.id, "amount": 901})
        assert refusal.value.param == "amount"

    def test_what_was_not_paid_cannot_be_refunded(self, client):
        with pytest.raises(stripe.CardError) as decline:
            pay(client, "pm_card_chargeDeclined")
        error = decline.value.error
        for given in ({"payment_intent": error.payment_intent.id}, {"charge": error.charge}, {}):
            with pytest.raises(stripe.InvalidRequestError):
                client.v1.refunds.create(given)
        assert client.v1.refunds.list().data == []

    def test_refund_that_fails_later_is_taken_back(self, client, server):
        paid = pay(client)
        refund = client.v1.refunds.create({"payment_intent": paid.id})
        fail_refund(server.store, refund.id)
        charge = client.v1.charges.retrieve(paid.latest_charge)
        assert (charge.amount_refunded, charge.refunded) == (0, False)
        assert client.v1.refunds.retrieve(refund.id).status == "failed"
        assert event_types(client)[-2:] == ["refund.updated", "refund.failed"]

    def test_metadata_can_be_added(self, client):
        refund = client.v1.refunds.create({"payment_intent": pay(client).id})
        client.v1.refunds.update(refund.id, {"metadata": {"a": "1"}})
        assert client.v1.refunds.retrieve(refund.id).metadata.a == "1"
        assert event_types(client)[-1] == "refund.updated"


class TestMoneyOfTheAccount:
    def test_balance_is_what_was_paid_less_refunds(self, client):
        paid = pay(client)
        pay(client, amount=500)
        client.v1.refunds.create({"payment_intent": paid.id, "amount": 100})
        assert [(f.amount, f.currency) for f in client.v1.balance.retrieve().available] == [(1300, "usd")]


class TestDisputes:
    @pytest.mark.parametrize(
        ("outcome", "last"), [("won", "charge.dispute.funds_reinstated"), ("lost", "charge.dispute.closed")]
    )
    def test_opened_and_decided(self, client, server, outcome, last):
        paid = pay(client)
        dispute = open_dispute(server.store, paid.latest_charge)
        assert client.v1.charges.retrieve(paid.latest_charge).disputed
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.refunds.create({"payment_intent": paid.id})
        assert refusal.value.code == "charge_disputed"
        close_dispute(server.store, dispute["id"], outcome)
        found = client.v1.disputes.list({"payment_intent": paid.id, "expand": ["data.charge"]}).data[0]
        assert (found.id, found.status, found.amount) == (dispute["id"], outcome, 900)
        assert found.charge.id == paid.latest_charge
        assert client.v1.disputes.retrieve(dispute["id"]).reason == "fraudulent"
        assert event_types(client)[-1] == last

"""Connected accounts: destination charges with application fees, by intent and by invoice, and their refunds."""

from typing import Any

import pytest
import requests
import stripe

from sandbox.connect import READY_ACCOUNT, UNFINISHED_ACCOUNT, finish_onboarding, restrict_account
from sandbox.paying import pay_checkout
from tests.sandbox.conftest import event_types, new_session
from tests.sandbox.scene import Scene
from tests.sandbox.test_invoices import Books
from tests.sandbox.test_pages import filled


@pytest.fixture
def books(serving) -> Books:
    return Books(serving)


def balance(scene: Scene) -> int:
    """What is left to the seller."""
    funds = scene.client.v1.balance.retrieve().available
    return sum(each.amount for each in funds)


def test_an_account_can_be_paid_once_its_owner_is_done(server, client):
    account = client.v1.accounts.create({
        "email": "agency@acme.example", "capabilities": {"transfers": {"requested": True}},
        "controller": {"stripe_dashboard": {"type": "express"}},
    })  # fmt: skip
    assert (account.charges_enabled, account.capabilities.transfers) == (False, "inactive")
    assert account.requirements.currently_due
    given: Any = {"amount": 900, "currency": "usd", "transfer_data": {"destination": account.id}}
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.payment_intents.create(given)
    assert refusal.value.code == "insufficient_capabilities_for_transfer"
    finish_onboarding(server.store, account.id)
    event = client.v1.events.list({"type": "account.updated"}).data[0]
    assert (event.account, event.data.object["charges_enabled"]) == (account.id, True)
    assert client.v1.payment_intents.create(given).transfer_data.destination == account.id
    restrict_account(server.store, account.id)
    assert client.v1.accounts.retrieve(account.id).capabilities.transfers == "inactive"


def test_its_owner_finishes_it_on_a_page(client):
    account = client.v1.accounts.create({"capabilities": {"transfers": {"requested": True}}}).id
    given: Any = {
        "account": account, "type": "account_onboarding", "refresh_url": "https://shop.test/again",
        "return_url": "https://shop.test/agency",
    }  # fmt: skip
    ends = []
    for outcome, status in (("later", "inactive"), ("finish", "active")):
        address = client.v1.account_links.create(given).url
        page = requests.get(address, timeout=5)
        assert account in page.text
        form = {"token": filled(page)["token"], "outcome": outcome}
        assert requests.post(address, data=form | {"token": "x"}, timeout=5).status_code == 400
        for _ in range(2):  # the second time it leads nowhere
            answer = requests.post(address, data=form, timeout=5, allow_redirects=False)
            ends.append(answer.headers["Location"])
        assert client.v1.accounts.retrieve(account).capabilities.transfers == status
    assert ends == ["https://shop.test/agency", "https://shop.test/again"] * 2
    answer = requests.get(address, timeout=5, allow_redirects=False)
    assert answer.headers["Location"] == "https://shop.test/again"


def test_calls_on_behalf_of_an_account_are_refused(client):
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.list({}, {"stripe_account": READY_ACCOUNT})


def test_two_accounts_are_known_from_the_start(client):
    ready, unfinished = (client.v1.accounts.retrieve(each) for each in (READY_ACCOUNT, UNFINISHED_ACCOUNT))
    assert (ready.charges_enabled, unfinished.charges_enabled) == (True, False)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.accounts.retrieve("acct_unknown")
    assert refusal.value.code == "resource_missing"


class TestInvoices:
    def test_the_destination_gets_the_total_and_pays_the_fee(self, books: Books) -> None:
        final = books.final(
            1000, 500, transfer_data={"destination": READY_ACCOUNT}, application_fee_amount=600
        )
        assert books.client.v1.transfers.list().data == []
        books.pay(final)
        charge = books.client.v1.charges.list({"expand": ["data.transfer", "data.application_fee"]}).data[0]
        transfer, fee = (
            books.client.v1.transfers.list().data[0],
            books.client.v1.application_fees.list().data[0],
        )
        assert (transfer.amount, transfer.destination, transfer.source_transaction) == (
            1500, READY_ACCOUNT, charge.id,
        )  # fmt: skip
        assert (fee.amount, fee.account, fee.originating_transaction) == (600, READY_ACCOUNT, charge.id)
        assert (charge.transfer.id, charge.application_fee.id) == (transfer.id, fee.id)  # type: ignore[union-attr]
        assert balance(books) == 600
        assert {"transfer.created", "application_fee.created"} <= set(event_types(books.client))

    def test_a_draft_may_change_where_it_sends(self, books: Books) -> None:
        draft = books.draft(900)
        books.client.v1.invoices.update(
            draft.id, {"transfer_data": {"destination": READY_ACCOUNT, "amount": 300}}
        )
        books.pay(books.client.v1.invoices.finalize_invoice(draft.id))
        assert [each.amount for each in books.client.v1.transfers.list().data] == [300]
        assert balance(books) == 600

    @pytest.mark.parametrize(
        ("given", "param"),
        [
            ({"application_fee_amount": 5}, "application_fee_amount"),
            ({"transfer_data": {"destination": "acct_unknown"}}, "transfer_data[destination]"),
            ({"transfer_data": {"destination": UNFINISHED_ACCOUNT}}, "transfer_data[destination]"),
            ({"transfer_data": {"destination": READY_ACCOUNT, "amount": 5}, "application_fee_amount": 5},
             "transfer_data[amount]"),
            ({"on_behalf_of": "acct_unknown"}, "on_behalf_of"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_sent_is_refused(self, books: Books, given: dict, param: str) -> None:
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            books.draft(900, **given)
        assert refusal.value.param == param

    def test_the_fee_is_at_most_the_total(self, books: Books) -> None:
        draft = books.draft(900, transfer_data={"destination": READY_ACCOUNT}, application_fee_amount=901)
        with pytest.raises(stripe.InvalidRequestError):
            books.client.v1.invoices.finalize_invoice(draft.id)
        assert books.client.v1.invoices.retrieve(draft.id).status == "draft"

    def test_money_taken_outside_is_not_sent_on(self, books: Books) -> None:
        final = books.final(900, transfer_data={"destination": READY_ACCOUNT})
        books.pay(final, paid_out_of_band=True)
        assert books.client.v1.transfers.list().data == []


class TestGoingBack:
    def paid(self, books: Books) -> stripe.Charge:
        books.pay(books.final(1000, transfer_data={"destination": READY_ACCOUNT}, application_fee_amount=400))
        return books.client.v1.charges.list().data[0]

    def test_a_refund_takes_transfer_and_fee_back_in_proportion(self, books: Books) -> None:
        charge = self.paid(books)
        refund = books.client.v1.refunds.create(
            {"charge": charge.id, "amount": 250, "reverse_transfer": True, "refund_application_fee": True}
        )
        transfer, fee = (
            books.client.v1.transfers.list().data[0],
            books.client.v1.application_fees.list().data[0],
        )
        assert (transfer.amount_reversed, transfer.reversed, fee.amount_refunded) == (250, False, 100)
        assert transfer.reversals.data[0].id == refund.transfer_reversal
        assert balance(books) == 300
        books.client.v1.refunds.create(
            {"charge": charge.id, "reverse_transfer": True, "refund_application_fee": True}
        )
        assert books.client.v1.transfers.retrieve(transfer.id).reversed
        assert balance(books) == 0
        assert {"transfer.reversed", "application_fee.refunded"} <= set(event_types(books.client))

    def test_without_being_asked_the_seller_bears_the_refund(self, books: Books) -> None:
        charge = self.paid(books)
        books.client.v1.refunds.create({"charge": charge.id})
        assert balance(books) == 400 - 1000

    def test_by_calls_of_their_own(self, books: Books) -> None:
        charge = self.paid(books)
        reversal = books.client.v1.transfers.reversals.create(str(charge.transfer), {"amount": 100})
        assert reversal.transfer == charge.transfer
        back = books.client.v1.application_fees.refunds.create(str(charge.application_fee), {"amount": 150})
        assert back.fee == charge.application_fee
        assert balance(books) == 400 + 100 - 150
        for call in (
            lambda: books.client.v1.transfers.reversals.create(str(charge.transfer), {"amount": 901}),
            lambda: books.client.v1.application_fees.refunds.create(
                str(charge.application_fee), {"amount": 251}
            ),
        ):
            with pytest.raises(stripe.InvalidRequestError):
                call()
        assert len(books.client.v1.transfers.reversals.list(str(charge.transfer)).data) == 1

    def test_a_charge_that_sent_nothing_has_nothing_to_take_back(self, books: Books) -> None:
        books.pay(books.final(900))
        charge = books.client.v1.charges.list().data[0]
        for name in ("reverse_transfer", "refund_application_fee"):
            with pytest.raises(stripe.InvalidRequestError) as refusal:
                books.client.v1.refunds.create({"charge": charge.id, name: True})  # type: ignore[misc]
            assert refusal.value.param == name
        assert books.client.v1.refunds.list().data == []


def test_checkout_sends_on_too(books: Books) -> None:
    data = {"transfer_data": {"destination": READY_ACCOUNT}, "application_fee_amount": 200}
    session = new_session(books.client, customer=books.customer, payment_intent_data=data)
    pay_checkout(books.server.store, session.id)
    assert [each.amount for each in books.client.v1.application_fees.list().data] == [200]
    assert balance(books) == 200

"""Invoices that a program draws up: items, finalised, paid off-session, given up, found again."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
import stripe

from sandbox import SandboxServer
from sandbox.paying import authenticate_invoice, pay_open_invoice
from tests.sandbox.conftest import DECLINED, SECURE, event_types
from tests.sandbox.scene import LATER_DECLINED, Scene


class Books(Scene):
    """A scene whose seller draws up invoices."""

    def draft(self, *amounts: int, **more: Any) -> stripe.Invoice:
        """A draft with an item for each amount."""
        given = {"customer": self.customer, "auto_advance": False, "metadata": {"charge": "chg-1"}, **more}
        invoice = self.client.v1.invoices.create(given)  # type: ignore[arg-type]
        for amount in amounts:
            self.client.v1.invoice_items.create({
                "customer": self.customer, "invoice": invoice.id, "amount": amount, "currency": "usd",
                "description": f"Credits for {amount}", "metadata": {"purchase": "p"},
            })  # fmt: skip
        return self.client.v1.invoices.retrieve(invoice.id)

    def final(self, *amounts: int, **more: Any) -> stripe.Invoice:
        """An open invoice."""
        return self.client.v1.invoices.finalize_invoice(self.draft(*amounts, **more).id)

    def pay(self, invoice: stripe.Invoice, **given: Any) -> stripe.Invoice:
        return self.client.v1.invoices.pay(invoice.id, {"off_session": True, **given})  # type: ignore[typeddict-item]


@pytest.fixture
def books(serving: Callable[..., SandboxServer]) -> Books:
    return Books(serving)


class TestBecomingPaid:
    def test_items_make_the_total_and_the_kept_card_pays(self, books: Books) -> None:
        draft = books.draft(700, 500)
        assert (draft.status, draft.total, draft.number) == ("draft", 1200, None)
        assert [line.description for line in draft.lines.data] == ["Credits for 700", "Credits for 500"]
        final = books.client.v1.invoices.finalize_invoice(draft.id, {"auto_advance": False})
        assert (final.status, final.amount_due, final.attempt_count) == ("open", 1200, 0)
        paid = books.client.v1.invoices.pay(final.id, {"expand": ["payments.data.payment.payment_intent"]})
        assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 1200, 0)
        payments: Any = paid.payments
        intent = payments.data[0].payment.payment_intent
        assert (intent.status, intent.amount_received) == ("succeeded", 1200)
        types = event_types(books.client)
        assert types[types.index("invoice.created") :] == [
            "invoice.created", "invoiceitem.created", "invoiceitem.created", "payment_intent.created",
            "invoice.finalized", "charge.succeeded", "payment_intent.succeeded", "invoice.paid",
            "invoice.payment_succeeded", "invoice_payment.paid",
        ]  # fmt: skip

    def test_a_declined_one_stays_open_and_another_card_pays_it(self, books: Books) -> None:
        books.use_card(LATER_DECLINED)
        final = books.final(900)
        with pytest.raises(stripe.CardError) as refusal:
            books.pay(final)
        assert refusal.value.code == "card_declined"
        assert refusal.value.error.decline_code == "generic_decline"  # type: ignore[union-attr]
        left = books.client.v1.invoices.retrieve(final.id)
        assert (left.status, left.attempt_count, left.attempted) == ("open", 1, True)
        assert event_types(books.client)[-1] == "invoice.payment_failed"
        assert books.pay(final, payment_method="pm_card_visa").status == "paid"

    def test_a_card_that_always_asks_is_confirmed_on_the_invoices_page(self, books: Books) -> None:
        books.use_card(SECURE)
        final = books.final(900)
        with pytest.raises(stripe.CardError) as refusal:
            books.pay(final)
        assert refusal.value.code == "authentication_required"
        assert event_types(books.client)[-2:] == [
            "invoice.payment_failed",
            "invoice.payment_action_required",
        ]
        assert requests.get(str(final.hosted_invoice_url), timeout=5).status_code == 200
        asked = pay_open_invoice(books.server.store, final.id, SECURE)
        assert asked["_refusal"] == "requires_action"
        authenticate_invoice(books.server.store, final.id, succeeds=False)
        assert books.client.v1.invoices.retrieve(final.id).status == "open"
        pay_open_invoice(books.server.store, final.id, SECURE)
        authenticate_invoice(books.server.store, final.id)
        assert books.client.v1.invoices.retrieve(final.id).status == "paid"

    def test_money_taken_outside_pays_it_too(self, books: Books) -> None:
        final = books.final(900)
        paid = books.pay(final, paid_out_of_band=True, expand=["payments"])
        assert paid.status == "paid"
        payments: Any = paid.payments
        assert [payment.status for payment in payments.data] == ["canceled"]
        assert "payment_intent.canceled" in event_types(books.client)
        assert books.client.v1.charges.list().data == []

    def test_too_little_to_charge_waits_on_the_customers_balance(self, books: Books) -> None:
        final = books.final(30)
        assert (final.status, final.amount_due, final.total) == ("paid", 0, 30)
        assert books.client.v1.customers.retrieve(books.customer).balance == 30
        assert books.final(900).amount_due == 930

    def test_a_key_pays_once(self, books: Books) -> None:
        final = books.final(900)
        for _ in range(2):
            paid = books.client.v1.invoices.pay(final.id, {}, {"idempotency_key": "charge-1"})
            assert paid.status == "paid"
        assert len(books.client.v1.charges.list().data) == 1
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            books.pay(final)
        assert str(refusal.value).endswith("Invoice is already paid.")

    def test_a_draft_that_advances_is_collected_an_hour_later(self, books: Books) -> None:
        draft = books.draft(900, auto_advance=True)
        books.move(2026, 1, 31, 12, 59)
        assert books.client.v1.invoices.retrieve(draft.id).status == "draft"
        books.move(2026, 1, 31, 13, 1)
        assert books.client.v1.invoices.retrieve(draft.id).status == "paid"

    def test_its_secret_confirms_it_on_a_page_of_the_sellers_own(self, books: Books) -> None:
        draft = books.draft(900)
        opened = books.client.v1.invoices.finalize_invoice(draft.id, {"expand": ["confirmation_secret"]})
        secret: Any = opened.confirmation_secret
        assert secret.client_secret.startswith("pi_")


class TestBeingGivenUp:
    def test_void_and_uncollectible(self, books: Books) -> None:
        void = books.client.v1.invoices.void_invoice(books.final(900).id)
        assert void.status == "void" and void.status_transitions.voided_at
        given_up = books.client.v1.invoices.mark_uncollectible(books.final(900).id)
        assert given_up.status == "uncollectible"
        with pytest.raises(stripe.InvalidRequestError):
            books.pay(void)
        assert books.pay(given_up).status == "paid"
        assert {"invoice.voided", "invoice.marked_uncollectible"} <= set(event_types(books.client))

    def test_only_drafts_change_and_are_deleted(self, books: Books) -> None:
        draft = books.draft()
        with pytest.raises(stripe.InvalidRequestError):
            books.client.v1.invoices.finalize_invoice(draft.id)
        books.client.v1.invoices.delete(draft.id)
        final = books.final(900)
        item = {"customer": books.customer, "invoice": final.id, "amount": 5, "currency": "usd"}
        for call in (
            lambda: books.client.v1.invoices.delete(final.id),
            lambda: books.client.v1.invoices.update(final.id, {"description": "x"}),
            lambda: books.client.v1.invoice_items.create(item),  # type: ignore[arg-type]
        ):
            with pytest.raises(stripe.InvalidRequestError) as refusal:
                call()
            assert refusal.value.code == "invoice_not_editable"
        assert books.client.v1.invoices.update(final.id, {"metadata": {"a": "b"}}).metadata["a"] == "b"  # type: ignore[index]


class TestBeingFound:
    def test_by_metadata_and_other_fields(self, books: Books) -> None:
        first, second = books.final(900), books.final(800, metadata={"charge": "chg-2", "kind": "overage"})
        books.pay(second)

        def found(query: str, **more: Any) -> list[str]:
            given = {"query": query, **more}
            return [each.id for each in books.client.v1.invoices.search(given).data]  # type: ignore[arg-type]

        assert found("metadata['charge']:'chg-1'") == [first.id]
        assert found(f'metadata["kind"]:"overage" AND customer:"{books.customer}"') == [second.id]
        assert found("status:'open'") == [first.id]
        assert found("-metadata['kind']:'overage' AND total>100") == [first.id]
        assert found("total>=800") == [second.id, first.id]
        assert found("metadata['charge']:'chg-3'") == []

    def test_a_page_at_a_time(self, books: Books) -> None:
        ids = [books.draft(900).id for _ in range(3)]
        page = books.client.v1.invoices.search({"query": "status:'draft'", "limit": 2})
        assert [each.id for each in page.auto_paging_iter()] == ids[::-1]

    @pytest.mark.parametrize("query", ["charge-1", "colour:'blue'", "total>'x'", "status:'open' OR total>1"])
    def test_what_is_not_understood_is_refused(self, books: Books, query: str) -> None:
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            books.client.v1.invoices.search({"query": query})
        assert refusal.value.param == "query"

    def test_by_its_customer(self, books: Books) -> None:
        books.final(900)
        other = books.client.v1.customers.create({}).id
        assert books.client.v1.invoices.list({"customer": other}).data == []
        assert len(books.client.v1.invoices.list({"customer": books.customer}).data) == 1


def test_a_refused_card_is_told_on_the_page(books: Books) -> None:
    final = books.final(900)
    assert pay_open_invoice(books.server.store, final.id, DECLINED)["_refusal"] == "Your card was declined."
    pdf = requests.get(f"{final.hosted_invoice_url}/invoice.pdf", timeout=5)
    assert pdf.content.startswith(b"%PDF")

"""Refunds that an operator gives: once per request, recorded before and after the provider is asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from errors import Conflict, IdempotencyKeyReused, InvalidRequest, NotFound, PaymentProviderUnavailable
from extensions import db
from models.billing import Payment, RefundRequest
from sandbox.disputes import open_dispute
from sandbox.faults import Fault
from services.billing.funds import Funding, add_funds_by_hand
from services.billing.purchases import fulfil_checkout
from services.billing.refunding import NewRefund, Refunded, finish_refunds, refund_payment
from services.catalog.presets import load_preset
from tests.conftest import make_account
from tests.shop import CATALOGS, Shop, end_state, open_shop


@pytest.fixture
def sold(either_shop: Shop) -> Shop:
    started = either_shop.start()
    either_shop.pay(started.session_id)
    fulfil_checkout(started.session_id, "user:1", either_shop.payments)
    return either_shop


def payment_id() -> str:
    db.session.rollback()
    return db.session.scalars(select(Payment.public_id)).one()


def refund(shop: Shop, cents: int | None, key: str = "form-1") -> Refunded:
    return refund_payment(
        NewRefund(account_id=shop.account_id, payment_id=payment_id(), amount_cents=cents, request_key=key,
                  actor="user:1", reason="Not as described"),
        shop.payments,
    )  # fmt: skip


def states() -> list[tuple[str, int]]:
    db.session.rollback()
    return list(db.session.execute(select(RefundRequest.status, RefundRequest.amount_cents)))


class TestRefund:
    def test_gives_a_part_then_the_rest(self, sold: Shop) -> None:
        done = refund(sold, 1000)
        assert (done.payment_refunded_cents, done.payment_status) == (1000, "partially_refunded")
        assert end_state()["lots"] == [(1000, 715, 285, 0)]
        refund(sold, None, "form-2")
        state = end_state()
        assert state["payments"] == [("refunded", 3500, 3500, None)]
        assert state["lots"] == [(1000, 0, 1000, 0)]

    def test_the_same_form_gives_once(self, sold: Shop) -> None:
        refund(sold, 1000)
        refund(sold, 1000)
        assert len(list(sold.server.store.all("refund"))) == 1
        assert end_state()["payments"] == [("partially_refunded", 3500, 1000, None)]
        with pytest.raises(IdempotencyKeyReused):
            refund(sold, 2000)

    def test_its_events_change_nothing_more(self, sold: Shop) -> None:
        refund(sold, 1000)
        before = end_state()
        for event in sold.events("charge.refunded", "refund.created", "refund.updated"):
            sold.deliver(event)
        assert end_state() == before

    @pytest.mark.parametrize("cents", [0, -1, 3501])
    def test_more_than_was_paid_is_refused(self, sold: Shop, cents: int) -> None:
        with pytest.raises(InvalidRequest):
            refund(sold, cents)
        assert states() == []

    def test_a_disputed_payment_is_the_banks(self, sold: Shop) -> None:
        (charge,) = sold.server.store.all("charge")
        open_dispute(sold.server.store, charge["id"])
        for event in sold.events("charge.dispute.created"):
            sold.deliver(event)
        with pytest.raises(Conflict, match="disputed"):
            refund(sold, 100)

    def test_another_accounts_payment_is_not_there(self, sold: Shop) -> None:
        other = make_account("other")
        with pytest.raises(NotFound):
            refund_payment(
                NewRefund(account_id=other, payment_id=payment_id(), amount_cents=1, request_key="x",
                          actor="user:1"),
                sold.payments,
            )  # fmt: skip


class TestProviderInTrouble:
    def test_what_was_not_answered_is_asked_for_again_and_given_once(self, sold: Shop) -> None:
        sold.server.faults.plan(Fault("effect_then_reset", times=9, path="/v1/refunds"))
        with pytest.raises(PaymentProviderUnavailable):
            refund(sold, 1000)
        assert states() == [("asked", 1000)]
        with pytest.raises(InvalidRequest):  # what is on its way cannot be given a second time
            refund(sold, 3000, "form-2")
        sold.server.faults.clear()
        assert finish_refunds(sold.payments) == 1
        assert states() == [("done", 1000)]
        assert len(list(sold.server.store.all("refund"))) == 1
        assert end_state()["payments"] == [("partially_refunded", 3500, 1000, None)]

    def test_a_refusal_is_kept_with_its_words(self, sold: Shop) -> None:
        client = sold.payments._client.v1
        intent = db.session.scalars(select(Payment.stripe_payment_intent_id)).one()
        client.refunds.create({"payment_intent": intent})  # at the provider's side, not told yet
        with pytest.raises(InvalidRequest):
            refund(sold, 1000)
        assert states() == [("failed", 1000)]


class TestByHand:
    @pytest.fixture
    def wallet(self, app: Flask, tmp_path: Path) -> Iterator[Shop]:
        with open_shop(app, tmp_path) as shop:
            load_preset(CATALOGS / "messaging.toml")
            add_funds_by_hand(Funding(account_id=shop.account_id, amount=100_000, actor="key:1"), "bank-1")
            yield shop

    def test_a_payment_from_outside_is_only_recorded(self, wallet: Shop) -> None:
        refund(wallet, 400)
        state = end_state()
        assert state["payments"] == [("partially_refunded", 1000, 400, None)]
        assert state["lots"] == [(100_000, 60_000, 40_000, 0)]
        assert list(wallet.server.store.all("refund")) == []

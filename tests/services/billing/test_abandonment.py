"""Orders past their time: asked for at the provider first, then closed or fulfilled."""

from datetime import timedelta

import pytest

from errors import PaymentProviderUnavailable
from extensions import db
from models.billing import Order
from sandbox.faults import Fault
from services.billing import purchases
from services.billing.abandonment import Abandonment, expire_abandoned_orders
from services.billing.purchases import fulfil_checkout
from services.clock import set_business_offset
from tests.shop import BANK, Shop, end_state

LATER = timedelta(hours=25)


class TestExpireAbandonedOrders:
    def test_closes_what_nobody_paid(self, either_shop: Shop) -> None:
        either_shop.start()
        assert expire_abandoned_orders(either_shop.payments) == Abandonment()
        set_business_offset(LATER)
        assert expire_abandoned_orders(either_shop.payments) == Abandonment(closed=1)
        assert end_state()["orders"] == [("expired", None)]
        assert either_shop.sessions()[0]["status"] == "expired"
        assert expire_abandoned_orders(either_shop.payments) == Abandonment()

    def test_fulfils_what_was_paid_without_anybody_noticing(self, either_shop: Shop) -> None:
        started = either_shop.start()
        either_shop.pay(started.session_id)
        set_business_offset(LATER)
        assert expire_abandoned_orders(either_shop.payments) == Abandonment(fulfilled=1)
        state = end_state()
        assert (state["orders"], state["lots"]) == ([("paid", None)], [(1000, 1000, 0, 0)])

    def test_a_session_that_was_never_noted_is_found(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(purchases, "keep_session", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                shop.start()
        shop.pay(shop.sessions()[0]["id"])
        set_business_offset(LATER)
        assert expire_abandoned_orders(shop.payments) == Abandonment(fulfilled=1)
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]

    def test_an_order_that_never_reached_the_provider_is_closed(self, shop: Shop) -> None:
        shop.server.faults.plan(Fault("reset", times=3, path="/v1/customers"))
        with pytest.raises(PaymentProviderUnavailable):
            shop.start()
        set_business_offset(LATER)
        assert expire_abandoned_orders(shop.payments) == Abandonment(closed=1)
        assert end_state()["orders"] == [("expired", None)]

    def test_a_bank_debit_under_way_is_waited_for(self, shop: Shop) -> None:
        started = shop.start()
        shop.pay(started.session_id, BANK)
        set_business_offset(LATER)
        assert expire_abandoned_orders(shop.payments) == Abandonment(waiting=1)
        shop.settle(started.session_id)
        assert expire_abandoned_orders(shop.payments) == Abandonment(fulfilled=1)
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]

    def test_nothing_is_closed_while_the_provider_is_silent(self, shop: Shop) -> None:
        shop.start()
        set_business_offset(LATER)
        shop.server.faults.plan(Fault("500", times=3, method="GET", path="/v1/checkout/sessions"))
        with pytest.raises(PaymentProviderUnavailable):
            expire_abandoned_orders(shop.payments)
        assert end_state()["orders"] == [("open", None)]

    def test_paid_after_it_was_closed_here_is_still_credited(self, shop: Shop) -> None:
        started = shop.start()
        shop.pay(started.session_id)
        db.session.get_one(Order, 1).status = "expired"
        db.session.commit()
        assert fulfil_checkout(started.session_id, "user:1", shop.payments) == "paid"
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]

    def test_the_event_of_its_end_closes_it_at_once(self, shop: Shop) -> None:
        started = shop.start()
        shop.payments.expire_checkout(started.session_id)
        (event,) = shop.events("checkout.session.expired")
        shop.deliver(event)
        assert end_state()["orders"] == [("expired", None)]

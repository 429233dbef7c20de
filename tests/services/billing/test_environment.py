"""A database keeps to the payment environment it has lived in."""

import pytest
from flask import Flask
from sqlalchemy import select

from errors import Conflict
from extensions import db
from models.accounts import Account
from models.billing import Order
from models.inbox import InboxEvent
from payments_wiring import PaymentsOnDemand
from services.billing.environment import check_environment, detach, instance_id
from services.billing.inbox import store_event
from services.operations.facts import fact
from tests.conftest import settings_for
from tests.shop import Shop

NOTHING = dict.fromkeys(("customers", "prices", "plans", "cards", "subscriptions", "orders", "events"), 0)


class TestInstanceId:
    def test_stays(self, either_app: Flask) -> None:
        first = instance_id()
        assert len(first) == 24
        assert instance_id() == first


class TestCheckEnvironment:
    def test_recorded_by_the_first_purchase(self, shop: Shop) -> None:
        check_environment("live")
        shop.start()
        assert fact("payment_environment") == "sandbox"
        with pytest.raises(Conflict, match="stripe detach"):
            check_environment("test")

    def test_another_key_makes_no_gateway(self, shop: Shop) -> None:
        shop.start()
        folder = shop.app.extensions["settings"].instance_dir
        shop.app.extensions["settings"] = settings_for(folder, stripe_secret_key="sk_live_x")
        with pytest.raises(Conflict, match="live Stripe"):
            PaymentsOnDemand(shop.app).gateway()


class TestDetach:
    def test_lets_go_of_what_belongs_to_the_old_one(self, either_shop: Shop) -> None:
        open_order, paid = either_shop.start(key="a"), either_shop.start(key="b")
        either_shop.pay(paid.session_id)
        (event,) = either_shop.events("checkout.session.completed")
        either_shop.deliver(event)
        store_event("{}", "evt_later", "charge.refunded", "ch_1")
        forgotten = detach("command")
        assert forgotten == NOTHING | {"customers": 1, "orders": 1, "events": 1}
        db.session.rollback()
        assert db.session.get_one(Account, either_shop.account_id).stripe_customer_id is None
        statuses = {o.stripe_session_id: o.status for o in db.session.scalars(select(Order))}
        assert statuses == {open_order.session_id: "expired", paid.session_id: "paid"}
        states = {row.stripe_event_id: row.state for row in db.session.scalars(select(InboxEvent))}
        assert states == {event["id"]: "processed", "evt_later": "ignored"}
        check_environment("live")
        assert detach("command") == NOTHING

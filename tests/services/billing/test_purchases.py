"""From the button to the hosted page: one order, one session, whatever happens on the way."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from errors import (
    AccountFrozen,
    Conflict,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    PaymentProviderUnavailable,
    SubscriptionRequired,
)
from extensions import db
from gateways.payments import Terms
from gateways.stripe_gateway import StripeGateway
from models.accounts import Account
from models.billing import Order
from models.catalog import Catalog
from sandbox.faults import Fault
from services.billing import purchases
from services.billing.purchases import fulfil_checkout, order_of_session
from services.billing.subscriptions import set_plan
from services.catalog.presets import load_preset
from services.clock import business_now, set_business_offset
from services.ledger.balances import balance_of
from services.unit_of_work import unit_is_open
from tests.conftest import make_account
from tests.sandbox.spec import problems_of_request
from tests.shop import BASE_URL, CATALOGS, KEY, Shop, end_state


def orders() -> list[Order]:
    db.session.rollback()
    return list(db.session.scalars(select(Order).order_by(Order.id)))


def set_account(account_id: int, **values: Any) -> None:
    account = db.session.get_one(Account, account_id)
    for name, value in values.items():
        setattr(account, name, value)
    db.session.commit()


class TestStartPurchase:
    def test_the_whole_purchase(self, either_shop: Shop) -> None:
        started = either_shop.start(email="Ann@Acme.example")
        assert started.url.startswith(f"{either_shop.server.base_url}/sandbox/pay/")
        (order,) = orders()
        assert (order.status, order.credits, order.price_cents, order.currency) == ("open", 1000, 3500, "usd")
        assert order.stripe_session_id == started.session_id
        either_shop.pay(started.session_id)
        assert fulfil_checkout(started.session_id, "user:1", either_shop.payments) == "paid"
        state = end_state()
        assert state["payments"] == [("paid", 3500, 0, None)]
        assert state["lots"] == [(1000, 1000, 0, 0)]
        assert state["lines"] == [("purchase", 1000)]
        assert orders()[0].status == "paid"
        assert balance_of(either_shop.account_id, "credits").permanent == 1000

    def test_what_stripe_is_asked(self, shop: Shop) -> None:
        started = shop.start()
        (customer,) = shop.calls("/v1/customers")
        (session,) = shop.calls("/v1/checkout/sessions")
        assert problems_of_request("POST", "/v1/customers", customer) == []
        assert problems_of_request("POST", "/v1/checkout/sessions", session) == []
        account = db.session.get_one(Account, shop.account_id)
        metadata = session["metadata"]
        assert metadata == session["payment_intent_data"]["metadata"]
        assert metadata["order"] == session["client_reference_id"] == started.order_id
        assert metadata["account"] == account.public_id == customer["metadata"]["account"]
        assert metadata["coffer_instance"] == customer["metadata"]["coffer_instance"]
        assert session["customer"] == account.stripe_customer_id
        assert session["invoice_creation"]["enabled"] == "true"
        assert "payment_method_types" not in session
        assert session["success_url"] == (
            f"{BASE_URL}/home/acme/billing/success?session_id={{CHECKOUT_SESSION_ID}}"
        )
        assert session["cancel_url"] == f"{BASE_URL}/home/acme/billing?canceled=1"

    def test_the_same_key_gives_the_same_session(self, either_shop: Shop) -> None:
        assert either_shop.start() == either_shop.start()
        assert (len(orders()), len(either_shop.sessions())) == (1, 1)

    def test_another_key_is_another_purchase_of_the_same_customer(self, shop: Shop) -> None:
        first, second = shop.start(key="a"), shop.start(key="b")
        assert first.session_id != second.session_id
        assert len(shop.calls("/v1/customers")) == 1
        for started in (first, second):
            shop.pay(started.session_id)
            fulfil_checkout(started.session_id, "user:1", shop.payments)
        assert end_state()["lots"] == [(1000, 1000, 0, 0)] * 2

    def test_the_same_key_after_it_was_paid_gives_the_same_answer(self, shop: Shop) -> None:
        started = shop.start()
        shop.pay(started.session_id)
        fulfil_checkout(started.session_id, "user:1", shop.payments)
        assert shop.start() == started
        assert len(orders()) == 1

    def test_a_price_id_names_the_package(self, shop: Shop) -> None:
        assert shop.start("coffer_devtools_small").credits == 500

    def test_the_price_is_that_of_the_moment(self, shop: Shop) -> None:
        started = shop.start()
        package = orders()[0].package
        assert package is not None
        package.price_cents, package.credits = 1, 1
        db.session.commit()
        shop.pay(started.session_id)
        fulfil_checkout(started.session_id, "user:1", shop.payments)
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]


class TestRefusals:
    def test_unknown_package_or_account(self, shop: Shop) -> None:
        with pytest.raises(NotFound):
            shop.start("gold")
        shop.account_id = 999
        with pytest.raises(NotFound):
            shop.start()
        assert orders() == []

    @pytest.mark.parametrize("status", ["frozen", "parked"])
    def test_frozen(self, shop: Shop, status: str) -> None:
        set_account(shop.account_id, status=status)
        with pytest.raises(AccountFrozen):
            shop.start()
        assert orders() == [] and shop.sessions() == []

    def test_locked_without_a_subscription(self, shop: Shop) -> None:
        load_preset(CATALOGS / "studio.toml")
        studio = db.session.scalar(select(Catalog.id).where(Catalog.code == "studio"))
        set_account(shop.account_id, catalog_id=studio)
        with pytest.raises(SubscriptionRequired):
            shop.start("credits-500")
        set_plan(shop.account_id, "basic", "month", "command")
        assert shop.start("credits-500").credits == 500

    def test_another_currency(self, shop: Shop) -> None:
        set_account(shop.account_id, currency="eur")
        with pytest.raises(InvalidRequest, match="EUR"):
            shop.start()

    def test_another_package_under_the_same_key(self, shop: Shop) -> None:
        shop.start("small")
        with pytest.raises(IdempotencyKeyReused):
            shop.start("power")
        assert len(orders()) == 1

    def test_a_key_whose_order_is_over(self, shop: Shop) -> None:
        started = shop.start()
        set_business_offset(timedelta(hours=24))
        shop.server.store.get("checkout.session", started.session_id)
        order = orders()[0]
        order.status = "expired"
        db.session.commit()
        with pytest.raises(Conflict, match="over"):
            shop.start()

    @pytest.mark.parametrize("email", ["nobody", "a@b", "a b@c.example", "x" * 400 + "@c.example", ""])
    def test_no_email(self, shop: Shop, email: str) -> None:
        with pytest.raises(InvalidRequest, match="email"):
            shop.start(email=email)

    @pytest.mark.parametrize(
        "address",
        [
            "https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "",
            f"{BASE_URL}@evil.example/", f"{BASE_URL}.evil.example/", "http://127.0.0.1:5001/",
            "https://127.0.0.1:5000/", f"{BASE_URL}\\@evil.example", f"{BASE_URL}/\nx", "http://[::1", "home",
            f"{BASE_URL}/{'x' * 3000}", "http://127.0.0.1:99999/",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("field", ["success_url", "cancel_url"])
    def test_no_way_back_to_strangers(self, shop: Shop, field: str, address: str) -> None:
        with pytest.raises(InvalidRequest, match=field):
            shop.start(**{field: address})
        assert orders() == []

    def test_allowed_origins(self, shop: Shop) -> None:
        terms = Terms(base_url=BASE_URL, return_origins=("https://app.acme.example",))
        shop.payments = StripeGateway(KEY, shop.server.base_url, terms, unit_is_open)
        shop.start(success_url="https://app.acme.example:443/done?x=1", cancel_url=f"{BASE_URL}/back")
        order = orders()[0]
        assert order.success_url == "https://app.acme.example:443/done?x=1"
        assert order.cancel_url == f"{BASE_URL}/back"


class TestTrouble:
    """Whatever goes wrong between the steps: the same request again ends in one order and one session."""

    @pytest.mark.parametrize("path", ["/v1/customers", "/v1/checkout/sessions"])
    @pytest.mark.parametrize(
        "kind", ["reset", "effect_then_reset", "effect_then_500", "500", "429", "half_answer"]
    )
    def test_once_is_retried_at_once(self, shop: Shop, kind: Any, path: str) -> None:
        shop.server.faults.plan(Fault(kind, times=1, path=path))
        started = shop.start()
        assert shop.start() == started
        assert (len(orders()), len(shop.sessions())) == (1, 1)
        assert len(list(shop.server.store.all("customer"))) == 1

    @pytest.mark.parametrize("path", ["/v1/customers", "/v1/checkout/sessions"])
    @pytest.mark.parametrize("kind", ["reset", "effect_then_reset", "500", "half_answer"])
    def test_for_longer_says_so_and_goes_on_later(self, shop: Shop, kind: Any, path: str) -> None:
        fault = Fault(kind, times=9, path=path)
        shop.server.faults.plan(fault)
        with pytest.raises(PaymentProviderUnavailable):
            shop.start()
        assert [order.status for order in orders()] == ["pending"]
        fault.times = 0
        started = shop.start()
        assert (len(orders()), len(shop.sessions())) == (1, 1)
        assert orders()[0].stripe_session_id == started.session_id

    def test_an_answer_of_500_that_hides_the_effect_is_looked_behind(self, shop: Shop) -> None:
        shop.server.faults.plan(Fault("effect_then_500", times=3, path="/v1/checkout/sessions"))
        started = shop.start()
        assert [session["id"] for session in shop.sessions()] == [started.session_id]

    def test_refused_connections(self, shop: Shop) -> None:
        working = shop.payments
        shop.payments = StripeGateway(KEY, "http://127.0.0.1:9", working.terms, unit_is_open)
        with pytest.raises(PaymentProviderUnavailable) as refusal:
            shop.start()
        assert refusal.value.retry_after_seconds
        shop.payments = working
        shop.start()
        assert (len(orders()), len(shop.sessions())) == (1, 1)

    @pytest.mark.parametrize("step", ["begin_order", "keep_customer", "keep_session"])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_killed_between_two_steps(
        self, either_shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str, when: str
    ) -> None:
        inner: Callable[..., Any] = getattr(purchases, step)

        def dies(*args: Any) -> Any:
            if when == "after":
                inner(*args)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(purchases, step, dies)
            with pytest.raises(KeyboardInterrupt):
                either_shop.start()
        started = either_shop.start()
        assert (len(orders()), len(either_shop.sessions())) == (1, 1)
        assert len(list(either_shop.server.store.all("customer"))) == 1
        either_shop.pay(started.session_id)
        assert fulfil_checkout(started.session_id, "user:1", either_shop.payments) == "paid"
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]

    def test_paid_though_the_session_was_never_noted(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(purchases, "keep_session", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                shop.start()
        (session,) = shop.sessions()
        shop.pay(session["id"])
        assert fulfil_checkout(session["id"], "stripe:evt_1", shop.payments) == "paid"
        assert orders()[0].stripe_session_id == session["id"]

    def test_a_customer_that_is_gone_is_made_anew(self, shop: Shop) -> None:
        shop.start(key="a")
        first = db.session.get_one(Account, shop.account_id).stripe_customer_id
        assert first is not None
        shop.payments._client.v1.customers.delete(first)
        shop.start(key="b")
        second = db.session.get_one(Account, shop.account_id).stripe_customer_id
        assert second not in (None, first)
        assert shop.sessions()[0]["customer"] == second

    def test_an_order_that_waited_too_long_is_not_continued(self, shop: Shop) -> None:
        fault = Fault("500", times=99, path="/v1/checkout/sessions")
        shop.server.faults.plan(fault)
        with pytest.raises(PaymentProviderUnavailable):
            shop.start()
        fault.times = 0
        set_business_offset(timedelta(hours=22, minutes=30))
        with pytest.raises(Conflict, match="too long"):
            shop.start()
        assert orders()[0].expires_at > business_now()
        assert shop.sessions() == []


class TestOrderOfSession:
    def test_only_ones_own(self, shop: Shop) -> None:
        started = shop.start()
        assert order_of_session(shop.account_id, started.session_id).status == "open"
        stranger = make_account()
        for account_id, session_id in ((stranger, started.session_id), (shop.account_id, "cs_none")):
            with pytest.raises(NotFound):
                order_of_session(account_id, session_id)

"""Buying over HTTP: who may, what a form makes, what the success page does."""

import pytest
from sqlalchemy import func, select, update

from extensions import db
from models.billing import Order, Payment
from sandbox.faults import Fault
from services.ledger.balances import balance_of
from tests.blueprints.household import Household
from tests.shop import DECLINED, Shop, end_state
from tests.visitor import Visitor, fresh

PATH = "/home/acme/billing"
TOKEN = "a-form-token-of-the-tests"
POPULAR = {"package": "popular", "form_token": TOKEN}


def orders() -> int:
    fresh()
    return db.session.scalar(select(func.count(Order.id))) or 0


def balance(shop: Shop) -> int:
    fresh()
    return balance_of(shop.account_id, "credits").balance


class TestWhoMay:
    def test_anonymous_is_sent_to_sign_in(self, shop: Shop) -> None:
        visitor = Visitor(shop.app)
        assert visitor.get(PATH).headers["Location"].startswith("/sign-in")
        assert visitor.post(f"{PATH}/buy", POPULAR).status_code in (302, 303, 401)
        assert orders() == 0

    def test_stranger_gets_404_and_orders_nothing(self, home: Household) -> None:
        stranger = home.as_("stranger")
        assert stranger.get(PATH).status_code == 404
        assert stranger.post(f"{PATH}/buy", POPULAR).status_code == 404
        assert orders() == 0

    def test_viewer_sees_but_does_not_buy(self, home: Household) -> None:
        viewer = home.as_("viewer")
        page = viewer.get(PATH)
        assert page.status_code == 200 and "You are a viewer here" in page.text
        assert viewer.post(f"{PATH}/buy", POPULAR).status_code == 403
        assert orders() == 0

    def test_success_page_of_another_account_is_404(self, home: Household, shop: Shop) -> None:
        session = shop.start().session_id
        path = f"/home/elsewhere/billing/success?session_id={session}"
        assert home.as_("stranger").get(path).status_code == 404


class TestBuy:
    def test_member_is_sent_to_checkout(self, home: Household, shop: Shop) -> None:
        answer = home.as_("member").post(f"{PATH}/buy", POPULAR)
        assert answer.status_code == 303
        assert "/sandbox/pay/" in answer.headers["Location"]
        assert [order.status for order in db.session.scalars(select(Order))] == ["open"]
        assert balance(shop) == 0

    def test_same_form_twice_is_one_order(self, home: Household, shop: Shop) -> None:
        member = home.as_("member")
        places = {member.post(f"{PATH}/buy", POPULAR).headers["Location"] for _ in range(2)}
        assert len(places) == 1 and orders() == 1 and len(shop.sessions()) == 1

    def test_two_forms_are_two_orders(self, home: Household) -> None:
        member = home.as_("member")
        for token in (TOKEN, TOKEN + "-2"):
            member.post(f"{PATH}/buy", {"package": "popular", "form_token": token})
        assert orders() == 2

    @pytest.mark.parametrize("token", ["", "short", "x" * 65])
    def test_form_without_a_whole_token_is_422(self, home: Household, token: str) -> None:
        answer = home.as_("member").post(f"{PATH}/buy", {"package": "popular", "form_token": token})
        assert answer.status_code == 422
        assert orders() == 0

    def test_forged_form_is_refused(self, home: Household) -> None:
        answer = home.as_("member").post(f"{PATH}/buy", POPULAR | {"csrf_token": "forged"})
        assert answer.status_code == 400
        assert orders() == 0

    @pytest.mark.parametrize("package", ["", "nothing", "x" * 300, "\x00"])
    def test_package_that_is_not_sold_is_no_500(self, home: Household, package: str) -> None:
        answer = home.as_("member").post(f"{PATH}/buy", {"package": package, "form_token": TOKEN})
        assert answer.status_code in (404, 422)
        assert orders() == 0

    def test_provider_down_says_so_and_sells_nothing(self, home: Household, shop: Shop) -> None:
        shop.server.faults.plan(Fault("500", times=20))
        member = home.as_("member")
        answer = member.post(f"{PATH}/buy", POPULAR)
        assert answer.headers["Location"].endswith(PATH)
        assert "does not answer" in member.get(PATH).text
        assert balance(shop) == 0 and shop.sessions() == []


class TestSuccess:
    def came_back(self, home: Household, session: str) -> str:
        answer = home.as_("member").get(f"{PATH}/success?session_id={session}")
        assert answer.status_code == 200
        return answer.text

    def test_before_the_webhook_it_credits(self, home: Household, shop: Shop) -> None:
        session = shop.start().session_id
        shop.pay(session)
        assert "1,000 credits are yours" in self.came_back(home, session)
        assert balance(shop) == 1000
        for event in shop.events():
            shop.deliver(event)
        assert balance(shop) == 1000

    def test_after_the_webhook_it_credits_nothing_more(self, home: Household, shop: Shop) -> None:
        session = shop.start().session_id
        shop.pay(session)
        for event in shop.events():
            shop.deliver(event)
        assert balance(shop) == 1000
        told = end_state()
        for _ in range(2):
            assert "1,000 credits are yours" in self.came_back(home, session)
        assert end_state() == told

    def test_unpaid_it_waits(self, home: Household, shop: Shop) -> None:
        session = shop.start().session_id
        shop.pay(session, DECLINED)
        assert "on its way" in self.came_back(home, session)
        assert balance(shop) == 0

    def test_provider_down_it_says_that_credits_come_later(self, home: Household, shop: Shop) -> None:
        session = shop.start().session_id
        shop.pay(session)
        shop.server.faults.plan(Fault("500", times=20, method="GET"))
        assert "does not answer just now" in self.came_back(home, session)
        assert balance(shop) == 0

    def test_payment_that_does_not_match_is_flagged(self, home: Household, shop: Shop) -> None:
        session = shop.start().session_id
        shop.pay(session)
        db.session.execute(update(Order).values(price_cents=1))
        db.session.commit()
        assert "looking into this payment" in self.came_back(home, session)
        assert balance(shop) == 0

    @pytest.mark.parametrize("session", ["cs_test_unknown", "%00", "x" * 500])
    def test_session_that_is_not_there_is_404(self, home: Household, session: str) -> None:
        assert home.as_("member").get(f"{PATH}/success?session_id={session}").status_code == 404


class TestPayments:
    def test_payment_stands_with_badge_and_receipt(self, home: Household, shop: Shop) -> None:
        session = shop.start().session_id
        shop.pay(session)
        home.as_("member").get(f"{PATH}/success?session_id={session}")
        text = home.as_("viewer").get(PATH).text
        payment = db.session.scalars(select(Payment)).one()
        assert "$35.00" in text and "Paid" in text
        assert payment.invoice_url and payment.invoice_url.replace("&", "&amp;") in text

    @pytest.mark.parametrize("page", ["0", "-1", "x", "99999999999999999999999", "2"])
    def test_odd_page_is_never_an_error(self, home: Household, page: str) -> None:
        assert home.as_("viewer").get(f"{PATH}?page={page}").status_code == 200

    def test_canceled_says_that_nothing_was_bought(self, home: Household) -> None:
        assert "Nothing was bought." in home.as_("member").get(f"{PATH}?canceled=1").text

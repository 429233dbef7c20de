"""The Overview page over HTTP."""

from datetime import timedelta

import pytest
from flask import Flask

from services.clock import business_now
from tests.blueprints.household import Household, household
from tests.conftest import make_account
from tests.visitor import Visitor

PATH = "/home/acme/overview"


@pytest.fixture
def home(app: Flask) -> Household:
    return household(app)


class TestWhoMaySee:
    def test_anonymous_is_sent_to_sign_in(self, app: Flask, home: Household) -> None:
        answer = Visitor(app).get(PATH)
        assert answer.status_code in (302, 303)
        assert answer.headers["Location"].startswith("/sign-in")

    def test_stranger_gets_what_somebody_gets_who_asks_for_nothing(self, home: Household) -> None:
        stranger = home.as_("stranger")
        theirs, nothing = stranger.get(PATH), stranger.get("/home/nothing-here/overview")
        assert theirs.status_code == nothing.status_code == 404
        assert theirs.text.replace("acme", "") == nothing.text.replace("nothing-here", "")

    @pytest.mark.parametrize("role", ["owner", "member", "viewer"])
    def test_everyone_of_the_account_sees_it(self, home: Household, role: str) -> None:
        home.grant(1234)
        answer = home.as_(role).get(PATH)
        assert answer.status_code == 200
        assert "1,234" in answer.text


class TestWhatItShows:
    def test_account_without_credits_has_an_empty_state(self, home: Household) -> None:
        text = home.as_("owner").get(PATH).text
        assert "No credits yet." in text and "No active plan" in text

    def test_lots_stand_in_burn_order_and_soon_expiry_is_warned_of(self, home: Household) -> None:
        home.grant(40, "purchase")
        home.grant(30, expires_at=business_now() + timedelta(days=3))
        text = home.as_("owner").get(PATH).text
        lots = text[text.index('class="lots"') :]
        assert lots.index("Bonus") < lots.index("Purchase")
        assert "30 credits expire" in text

    def test_expiry_beyond_a_week_is_not_warned_of(self, home: Household) -> None:
        home.grant(30, expires_at=business_now() + timedelta(days=8))
        assert "credits expire" not in home.as_("owner").get(PATH).text

    def test_frozen_account_offers_nothing_to_buy(self, app: Flask) -> None:
        home = household(app, make_account("acme", status="frozen"))
        text = home.as_("owner").get(PATH).text
        assert "This account is frozen." in text
        assert "buy-credits" not in text and "billing/buy" not in text

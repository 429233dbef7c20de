"""The page on which a demo's clock is moved: forward, once per form, by operators, where there is a sandbox."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from pydantic import SecretStr

from extensions import db
from services.clock import business_now, wall_now
from services.operations.leases import give_back_lease
from services.operations.time_travel import (
    LEASE,
    Journey,
    begin_journey,
    is_travelling,
    last_journey,
    move_on,
)
from tests.blueprints.operator.conftest import form_token
from tests.conftest import make_account
from tests.visitor import Visitor, fresh, make_person, signed_in

PATH = "/operator/time-travel"
MOST_SECONDS = 60


@pytest.fixture(autouse=True)
def sandbox_is_stopped(app: Flask) -> Iterator[None]:
    yield
    app.extensions["payments"].stop()


def send(visitor: Visitor, token: str | None = None, **data: str) -> int:
    """Send the page's form; its status."""
    form = {"form_token": token or form_token(visitor.get(PATH).text), "unit": "d", **data}
    return visitor.post(PATH, form).status_code


def arrived() -> Journey:
    """The journey, once it has ended."""
    until = time.monotonic() + MOST_SECONDS
    while time.monotonic() < until:
        fresh()
        journey = last_journey()
        if journey is not None and journey.ended_at is not None and not is_travelling():
            return journey
        time.sleep(0.05)
    raise AssertionError("the journey does not end")


def ahead() -> timedelta:
    return timedelta(minutes=round((business_now() - wall_now()) / timedelta(minutes=1)))


class TestMove:
    @pytest.mark.parametrize(
        ("data", "span"),
        [
            ({"span": "1h"}, timedelta(hours=1)),
            ({"span": "7d"}, timedelta(days=7)),
            ({"amount": "36", "unit": "h"}, timedelta(hours=36)),
            ({"amount": "2"}, timedelta(days=2)),
        ],
    )
    def test_the_clock_goes_forward(
        self, operator: Visitor, actions: Callable[[], list[str]], data: dict[str, str], span: timedelta
    ) -> None:
        assert send(operator, **data) == 303
        journey = arrived()
        assert (journey.state, journey.problems) == ("arrived", ())
        assert abs(ahead() - span) <= timedelta(minutes=2)
        page = operator.get(PATH).text
        assert "Arrived" in page and "The clock of this demo is moved." in page
        assert "clock.journey_begun" in actions()

    def test_one_form_moves_it_once(self, operator: Visitor) -> None:
        token = form_token(operator.get(PATH).text)
        assert send(operator, token, span="1d") == 303
        first = arrived()
        assert send(operator, token, span="1d") == 303
        fresh()
        assert last_journey() == first

    def test_another_journey_waits_its_turn(self, operator: Visitor) -> None:
        begin_journey(business_now() + timedelta(days=1), "user:1", "somebody else")
        page = operator.get(PATH).text
        assert "Under way" in page and 'hx-trigger="every 2s"' in page and "Move the clock" not in page
        answer = operator.post(PATH, {"form_token": "a" * 24, "unit": "d", "span": "1d"})
        assert answer.status_code == 422
        assert "under way already" in answer.text

    def test_progress_is_shown(self, operator: Visitor) -> None:
        start = business_now()
        begin_journey(start + timedelta(days=4), "user:1", "somebody else")
        assert move_on(start + timedelta(days=1), "somebody else")
        page = operator.get(PATH).text
        assert "25% of the way" in page and "1 step" in page


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "said"),
        [
            ({}, "Enter a number from 1 to 9600."),
            ({"amount": "0"}, "Enter a number from 1 to 9600."),
            ({"amount": "-3"}, "Enter a number from 1 to 9600."),
            ({"amount": "99999"}, "Enter a number from 1 to 9600."),
            ({"amount": "three"}, "Not a valid integer value"),
            ({"amount": "401"}, "400 days at most"),
            ({"amount": "4", "unit": "years"}, "Not a valid choice"),
            ({"span": "tomorrow"}, "hours or days"),
            ({"span": "cycle-end"}, "nobody has a plan"),
        ],
    )
    def test_what_is_wrong_is_said_and_nothing_moves(
        self, operator: Visitor, data: dict[str, str], said: str
    ) -> None:
        token = form_token(operator.get(PATH).text)
        answer = operator.post(PATH, {"form_token": token, "unit": "d", **data})
        assert answer.status_code == 422
        assert said in answer.text
        assert last_journey() is None and business_now() - wall_now() < timedelta(seconds=1)

    def test_a_key_of_stripe_bars_it(self, app: Flask, operator: Visitor) -> None:
        token = form_token(operator.get(PATH).text)
        settings = app.extensions["settings"]
        app.extensions["settings"] = settings.model_copy(update={"stripe_secret_key": SecretStr("sk_test_x")})
        try:
            page = operator.get(PATH).text
            answer = operator.post(PATH, {"form_token": token, "unit": "d", "span": "1d"})
        finally:
            app.extensions["settings"] = settings
        assert "Its clock cannot be moved" in page and "Move the clock" not in page
        assert answer.status_code == 422 and "Its clock cannot be moved" in answer.text
        assert last_journey() is None

    def test_others_find_nothing(self, owner: Visitor) -> None:
        assert owner.get(PATH).status_code == 404
        assert owner.post(PATH, {"span": "1d"}).status_code == 404
        assert last_journey() is None


class TestInterrupted:
    def test_it_goes_on(self, operator: Visitor) -> None:
        begin_journey(business_now() + timedelta(hours=3), "user:1", "killed")
        give_back_lease(LEASE, "killed")
        page = operator.get(PATH).text
        assert "Interrupted" in page and "Continue" in page
        assert operator.post(f"{PATH}/continue").status_code == 303
        assert arrived().state == "arrived"
        assert ahead() >= timedelta(hours=2, minutes=59)

    def test_it_ends_where_it_stands(self, operator: Visitor, actions: Callable[[], list[str]]) -> None:
        begin_journey(business_now() + timedelta(hours=3), "user:1", "killed")
        give_back_lease(LEASE, "killed")
        assert operator.post(f"{PATH}/end").status_code == 303
        assert arrived().state == "ended"
        assert "Ended on the way" in operator.get(PATH).text
        assert actions()[-1] == "clock.journey_ended"

    @pytest.mark.parametrize("what", ["continue", "end"])
    def test_where_there_is_none(self, operator: Visitor, what: str) -> None:
        assert operator.post(f"{PATH}/{what}").status_code == 409


class TestTheWorldsClock:
    def test_a_hundred_days_later_everybody_is_still_signed_in(self, app: Flask, operator: Visitor) -> None:
        make_person("ann@example.com", make_account("acme"))
        ann = signed_in(app, "ann@example.com")
        begin_journey(business_now() + timedelta(days=100), "user:1", "test")
        assert move_on(business_now() + timedelta(days=100), "test")
        assert operator.get(PATH).status_code == 200
        page = ann.get("/home/acme/overview")
        assert page.status_code == 200
        assert re.search(r"100 days ahead of the real time", page.text)
        assert PATH not in page.text  # whoever is no operator cannot go there
        assert ann.sign_in("ann@example.com").status_code in (302, 303)

    def test_there_is_no_banner_before(self, operator: Visitor) -> None:
        assert "The clock of this demo" not in operator.get("/operator/accounts").text
        db.session.rollback()

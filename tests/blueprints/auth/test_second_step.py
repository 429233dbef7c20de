"""The pages of the second step: from the profile to the code after the password."""

import re
from datetime import UTC, datetime

import pyotp
from flask import Flask

from services.accounts import second_factors
from tests.conftest import make_account
from tests.visitor import PASSWORD, Visitor, make_person


def shown_secret(page: str) -> str:
    found = re.search(r'id="totp-secret">([A-Z2-7]+)<', page)
    assert found, page
    return found[1]


class TestPages:
    def test_set_up_sign_in_with_a_code_and_turn_off(self, app: Flask) -> None:
        make_person("ann@example.com", make_account("acme"))
        ann = Visitor(app)
        ann.sign_in("ann@example.com")
        page = ann.get("/profile/second-step").text
        assert "<svg" in page
        code = pyotp.TOTP(shown_secret(page)).at(datetime.now(UTC))
        done = ann.post("/profile/second-step", {"code": code})
        codes = re.search(r'id="recovery-codes">([^<]+)<', done.text)[1].split()
        assert len(codes) == 10

        other = Visitor(app)
        answer = other.sign_in("ann@example.com", next="/home/acme/usage")
        assert answer.location == "/sign-in/code?next=/home/acme/usage"
        assert not other.is_signed_in()
        assert other.post("/sign-in/code", {"code": "nonsense"}).status_code == 422
        in_now = other.post("/sign-in/code", {"code": codes[0], "next": "/home/acme/usage"})
        assert (in_now.status_code, in_now.location) == (303, "/home/acme/usage")
        assert other.is_signed_in()

        assert other.post("/profile/second-step/off", {"password": "wrong one"}).status_code == 422
        assert other.post("/profile/second-step/off", {"password": PASSWORD}).status_code == 303
        assert Visitor(app).sign_in("ann@example.com").location == "/"

    def test_a_session_that_waits_for_its_code_opens_no_page_and_no_call(self, app: Flask) -> None:
        user_id = make_person("ann@example.com", make_account("acme"))
        setup = second_factors.begin_setup(user_id, "Coffer")
        second_factors.confirm_setup(user_id, pyotp.TOTP(setup.secret).at(datetime.now(UTC)))
        ann = Visitor(app)
        ann.sign_in("ann@example.com")
        assert ann.get("/home/acme/overview").status_code == 302
        assert ann.get("/api/credits/balance").status_code == 401

    def test_without_the_password_first_there_is_no_form_for_a_code(self, app: Flask) -> None:
        assert Visitor(app).get("/sign-in/code").location == "/sign-in"
        assert Visitor(app).post("/sign-in/code", {"code": "123456"}).location == "/sign-in"

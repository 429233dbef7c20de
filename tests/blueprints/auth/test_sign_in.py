"""Signing in and out in a browser."""

import re

import pytest
import time_machine
from flask import Flask

from extensions import db
from models.accounts import User, UserSession
from services.accounts import sessions, users
from services.clock import wall_now
from tests.conftest import running_app, settings_for
from tests.visitor import PASSWORD, Visitor, fresh, make_person, signed_in

FORM_TOKEN = re.compile(r"[\w-]{40,}\.[\w-]+\.[\w-]+")
ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "http:evil.example",
    "https:evil.example",
    "/%2Fevil.example",
    "/%2f%2fevil.example",
    "/%5Cevil.example",
    "/%255Cevil.example",
    "/%252F%252Fevil.example",
    "@evil.example",
    "/@evil.example",
    "//user@evil.example",
    "/home@evil.example",
    "/%40evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    " //evil.example",
    "\t//evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/%09/evil.example",
    "/%0d%0aSet-Cookie:x=y",
    "/profile\r\nX: y",
    "evil.example",
    "/..//evil.example",
    "/a//evil.example",
    "/\u2215evil.example",
    "/%00",
    "?x",
    "#x",
    "/" + "a" * 3000,
]


class TestSignIn:
    def test_it_leads_to_the_first_account(self, ann: Visitor) -> None:
        assert ann.get("/").headers["Location"] == "/home/acme/overview"
        assert ann.get("/sign-in").headers["Location"] == "/home/acme/overview"

    def test_without_any_account_it_leads_to_ones_profile(self, app: Flask, visitor: Visitor) -> None:
        make_person("new@example.com")
        visitor.sign_in("new@example.com")
        assert visitor.get("/").headers["Location"] == "/profile"
        assert visitor.get("/profile").status_code == 200

    @pytest.mark.parametrize(
        "target", ["/home/acme/members", "/profile?x=1&y=2%2F3", "/home/acme/usage?from=2026-01-01"]
    )
    def test_it_goes_on_to_where_one_wanted(self, account_id: int, visitor: Visitor, target: str) -> None:
        make_person("ann@example.com", account_id)
        assert visitor.sign_in("ann@example.com", next=target).headers["Location"] == target
        assert visitor.get("/sign-in", query_string={"next": target}).headers["Location"] == target

    @pytest.mark.parametrize("target", ELSEWHERE)
    def test_it_never_leads_away(self, account_id: int, visitor: Visitor, target: str) -> None:
        make_person("ann@example.com", account_id)
        assert visitor.sign_in("ann@example.com", next=target).headers["Location"] == "/"
        again = visitor.get("/sign-in", query_string={"next": target})
        assert again.headers["Location"] == "/home/acme/overview"

    def test_a_refusal_keeps_the_address_shows_why_and_tells_nothing_more(
        self, ann: Visitor, visitor: Visitor
    ) -> None:
        answers = [
            visitor.sign_in(email, "a wrong password") for email in ("ann@example.com", "bob@example.com")
        ]
        assert [answer.status_code for answer in answers] == [422, 422]
        known, unknown = (FORM_TOKEN.sub("", answer.text) for answer in answers)
        assert known.replace("ann@", "bob@") == unknown
        assert 'value="ann@example.com"' in known and "a wrong password" not in known
        assert known.count("The e-mail address or the password is not right.") == 1
        assert not visitor.is_signed_in()

    def test_empty_fields_are_named(self, visitor: Visitor) -> None:
        answer = visitor.sign_in("", "")
        assert answer.status_code == 422
        assert 'href="#email"' in answer.text and 'href="#password"' in answer.text

    def test_too_many_tries_are_told_how_long_to_wait(self, ann: Visitor, visitor: Visitor) -> None:
        for _ in range(8):
            visitor.sign_in("ann@example.com", "a wrong password")
        answer = visitor.sign_in("ann@example.com")
        assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0
        assert not visitor.is_signed_in() and ann.is_signed_in()

    def test_the_owner_comes_in_from_another_address_meanwhile(self, app: Flask, ann: Visitor) -> None:
        attacker, owner = Visitor(app, "198.51.100.66"), Visitor(app, "203.0.113.8")
        for _ in range(12):
            attacker.sign_in("ann@example.com", "a wrong password")
        assert attacker.sign_in("ann@example.com").status_code == 429
        assert owner.sign_in("ann@example.com").status_code == 303

    @pytest.mark.parametrize(
        "email", ["\x00", "x" * 100_000, "ann@example.com\r\nBcc: x@example.com", "'; DROP TABLE users"]
    )
    def test_odd_input_is_refused_like_any_other(self, ann: Visitor, visitor: Visitor, email: str) -> None:
        assert visitor.sign_in(email).status_code == 422

    def test_an_open_page_is_asked_for_after_signing_in(self, visitor: Visitor) -> None:
        answer = visitor.get("/home/acme/members?x=1")
        assert (answer.status_code, answer.headers["Location"]) == (
            302,
            "/sign-in?next=/home/acme/members?x%3D1",
        )


class TestCookie:
    def test_it_is_for_this_host_alone_and_closed_to_scripts(self, ann: Visitor) -> None:
        again = Visitor(ann.client.application).sign_in("ann@example.com")
        (line,) = [c for c in again.headers.getlist("Set-Cookie") if c.startswith("coffer=")]
        parts = {part.strip().split("=")[0].lower(): part.strip() for part in line.split(";")}
        assert {"httponly", "path", "samesite"} <= set(parts) and "domain" not in parts
        assert parts["samesite"] == "SameSite=Lax" and parts["path"] == "Path=/"

    def test_behind_tls_every_cookie_is_secure_and_bound_to_the_host(self, tmp_path) -> None:
        settings = settings_for(tmp_path, base_url="https://credits.example.com", trusted_proxies=1)
        for app in running_app(settings):
            make_person("ann@example.com")
            visitor = Visitor(app)
            cookies = visitor.get("/sign-in").headers.getlist("Set-Cookie")
            cookies += visitor.sign_in("ann@example.com").headers.getlist("Set-Cookie")
            assert len(cookies) >= 2
            for line in cookies:
                assert (
                    line.startswith("__Host-")
                    and "Secure" in line
                    and "HttpOnly" in line
                    and "Domain" not in line
                )
            assert visitor.is_signed_in()
            assert "max-age=" in visitor.get("/sign-in").headers["Strict-Transport-Security"]

    def test_signing_in_takes_no_session_that_somebody_planted(
        self, app: Flask, ann: Visitor, visitor: Visitor
    ) -> None:
        planted = "cos_" + "A" * 43
        visitor.take_cookie(planted)
        form_cookie = visitor.client.get_cookie("coffer-forms")
        visitor.sign_in("ann@example.com")
        assert visitor.cookie() not in (None, planted)
        assert visitor.client.get_cookie("coffer-forms") != form_cookie or form_cookie is None
        other = Visitor(app)
        other.take_cookie(planted)
        assert not other.is_signed_in()

    def test_signing_in_over_another_session_ends_that_one(
        self, app: Flask, account_id: int, ann: Visitor
    ) -> None:
        make_person("bob@example.com", account_id)
        before = ann.cookie()
        ann.post("/sign-in", {"email": "bob@example.com", "password": PASSWORD})
        assert ann.cookie() != before
        assert sessions.find_session(before or "") is None

    def test_the_forms_token_changes_with_signing_in(self, account_id: int, visitor: Visitor) -> None:
        make_person("ann@example.com", account_id)
        old_token = visitor.token()
        visitor.sign_in("ann@example.com")
        answer = visitor.client.post("/sign-out", data={"csrf_token": old_token})
        assert answer.status_code == 400 and visitor.is_signed_in()


class TestCopiedCookie:
    @pytest.fixture
    def thief(self, app: Flask, ann: Visitor) -> Visitor:
        copy = Visitor(app, "198.51.100.66")
        copy.take_cookie(ann.cookie() or "")
        assert copy.is_signed_in()
        return copy

    def test_it_is_dead_after_signing_out(self, ann: Visitor, thief: Visitor) -> None:
        answer = ann.post("/sign-out")
        assert answer.headers["Location"] == "/sign-in"
        assert not thief.is_signed_in() and not ann.is_signed_in() and ann.cookie() is None

    def test_it_is_dead_after_a_new_password_and_the_owner_stays(self, ann: Visitor, thief: Visitor) -> None:
        answer = ann.post(
            "/profile/password", {"current_password": PASSWORD, "new_password": "another quiet morning"}
        )
        assert answer.status_code == 303
        assert not thief.is_signed_in() and ann.is_signed_in()

    def test_it_is_dead_after_disabling(self, app: Flask, thief: Visitor) -> None:
        users.disable_user(db.session.query(User).one().id, actor="command")
        assert not thief.is_signed_in()

    def test_it_is_dead_after_another_role(self, ann: Visitor, thief: Visitor) -> None:
        user_id = db.session.query(User).one().id
        users.set_operator(user_id, True, actor="command")
        assert not thief.is_signed_in()

    def test_it_is_dead_after_signing_out_everywhere_else(self, app: Flask, ann: Visitor) -> None:
        phone = signed_in(app, "ann@example.com")
        assert ann.post("/profile/sessions/end").status_code == 303
        assert ann.is_signed_in() and not phone.is_signed_in()
        fresh()
        assert db.session.query(UserSession).filter(UserSession.revoked_at.is_(None)).count() == 1

    def test_it_is_dead_after_half_a_day_without_use(self, ann: Visitor, thief: Visitor) -> None:
        with time_machine.travel(wall_now() + sessions.IDLE):
            assert not thief.is_signed_in()

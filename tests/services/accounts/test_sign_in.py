"""Signing in and changing one's password."""

import threading

import pytest
from flask import Flask
from werkzeug.security import generate_password_hash

from errors import CofferError, InvalidRequest, RateLimited, Unauthorized
from extensions import db
from models.accounts import LoginThrottle, User, UserSession
from services.accounts import passwords, sessions, users
from services.accounts.sign_in import Browser, change_password, sign_in
from tests.visitor import PASSWORD, fresh, make_person

HERE, ELSEWHERE = Browser("203.0.113.7", "Firefox"), Browser("198.51.100.9")


class TestSignIn:
    def test_it_begins_a_session_and_notes_when(self, either_app: Flask) -> None:
        make_person("ann@example.com")
        found = sessions.find_session(sign_in(" Ann@Example.com ", PASSWORD, HERE))
        assert found is not None and found.email == "ann@example.com"
        row, user = db.session.query(UserSession).one(), db.session.query(User).one()
        assert (row.address, row.user_agent) == ("203.0.113.7", "Firefox")
        assert user.last_login_at is not None

    @pytest.mark.parametrize(
        ("email", "password"),
        [
            ("ann@example.com", "wrong password"),
            ("nobody@example.com", PASSWORD),
            ("", ""),
            ("ann@example.com", ""),
            ("off@example.com", PASSWORD),
            ("invited@example.com", ""),
            ("\x00", "\x00"),
            ("ann@example.com", "x" * 5000),
        ],
    )
    def test_every_wrong_one_is_refused_in_the_same_words_after_one_hash(
        self, app: Flask, monkeypatch: pytest.MonkeyPatch, email: str, password: str
    ) -> None:
        make_person("ann@example.com")
        users.disable_user(make_person("off@example.com"), actor="command")
        users.insert_user("invited@example.com", None, actor="command")
        hashed: list[str] = []
        real = passwords.check_password_hash
        monkeypatch.setattr(passwords, "check_password_hash", lambda h, p: hashed.append(h) or real(h, p))
        with pytest.raises(Unauthorized) as refusal:
            sign_in(email, password, HERE)
        assert refusal.value.detail == "The e-mail address or the password is not right."
        assert len(hashed) == 1 and hashed[0].startswith("scrypt:32768:8:3$")
        assert db.session.query(UserSession).count() == 0

    def test_guessing_ends_after_eight_and_the_owner_still_comes_in_from_elsewhere(self, app: Flask) -> None:
        make_person("ann@example.com")
        for _ in range(8):
            with pytest.raises(Unauthorized):
                sign_in("ann@example.com", "a wrong password", HERE)
        with pytest.raises(RateLimited):
            sign_in("ann@example.com", PASSWORD, HERE)
        assert sign_in("ann@example.com", PASSWORD, ELSEWHERE)

    def test_thirty_guesses_at_once_are_eight(
        self, either_app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(passwords, "check_password_hash", lambda _hash, _password: False)
        make_person("ann@example.com")
        outcomes: list[type] = []

        def guess() -> None:
            with either_app.app_context():
                try:
                    sign_in("ann@example.com", "a wrong password", HERE)
                except CofferError as error:
                    outcomes.append(type(error))

        threads = [threading.Thread(target=guess) for _ in range(30)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert (outcomes.count(Unauthorized), outcomes.count(RateLimited)) == (8, 22)

    def test_an_old_hash_is_made_anew(self, app: Flask) -> None:
        user_id = make_person("ann@example.com")
        users.store_password(
            user_id,
            generate_password_hash(PASSWORD, "pbkdf2:sha256:1000"),
            actor="command",
            action="test.old",
        )
        sign_in("ann@example.com", PASSWORD, HERE)
        fresh()
        stored = db.session.query(User).one().password_hash or ""
        assert stored.startswith("scrypt:32768:8:3$") and passwords.is_right(PASSWORD, stored)

    def test_who_is_disabled_while_the_hash_is_computed_stays_out(
        self, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user_id = make_person("ann@example.com")
        real = passwords.check_password_hash

        def check_and_disable(stored: str, password: str) -> bool:
            users.disable_user(user_id, actor="command")
            return real(stored, password)

        monkeypatch.setattr(passwords, "check_password_hash", check_and_disable)
        with pytest.raises(Unauthorized):
            sign_in("ann@example.com", PASSWORD, HERE)
        assert db.session.query(UserSession).count() == 0


class TestChangePassword:
    def test_every_session_ends_and_a_new_one_begins(self, app: Flask) -> None:
        user_id = make_person("ann@example.com")
        old = [sign_in("ann@example.com", PASSWORD, HERE) for _ in range(2)]
        new = change_password(user_id, PASSWORD, "another quiet morning", HERE)
        assert [sessions.find_session(token) for token in old] == [None, None]
        assert sessions.find_session(new) is not None

    @pytest.mark.parametrize(
        ("current", "new", "field"),
        [("wrong one", "another quiet morning", "current_password"), (PASSWORD, "short", "new_password")],
    )
    def test_a_refusal_names_the_field_and_changes_nothing(
        self, app: Flask, current: str, new: str, field: str
    ) -> None:
        user_id = make_person("ann@example.com")
        before = db.session.query(User).one().password_hash
        with pytest.raises(InvalidRequest) as refusal:
            change_password(user_id, current, new, HERE)
        fresh()
        assert refusal.value.errors[0].field == field
        assert db.session.query(User).one().password_hash == before

    def test_whoever_holds_a_session_cannot_guess_the_password_for_ever(self, app: Flask) -> None:
        user_id = make_person("ann@example.com")
        for _ in range(8):
            with pytest.raises(InvalidRequest):
                change_password(user_id, "a wrong password", "another quiet morning", HERE)
        with pytest.raises(RateLimited):
            change_password(user_id, PASSWORD, "another quiet morning", HERE)
        assert db.session.query(LoginThrottle).count() == 2

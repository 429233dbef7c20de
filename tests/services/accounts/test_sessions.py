"""Sessions: rows that can be ended, and that end by themselves."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from extensions import db
from models.accounts import UserSession
from services.accounts import sessions, users
from services.clock import wall_now
from tests.visitor import make_person


@pytest.fixture
def user_id(app: Flask) -> int:
    return make_person("ann@example.com")


class TestFindSession:
    def test_the_token_opens_it_and_only_its_hash_is_kept(self, user_id: int) -> None:
        token = sessions.open_session(user_id, "203.0.113.7", "Firefox")
        found = sessions.find_session(token)
        assert found is not None and (found.user_id, found.email) == (user_id, "ann@example.com")
        row = db.session.query(UserSession).one()
        assert token not in (row.token_hash, row.user_agent) and len(row.token_hash) == 64

    @pytest.mark.parametrize("token", ["", "cos_", "cos_" + "A" * 43, "x" * 5000, "cos_\ud800"])
    def test_an_unknown_token_opens_nothing(self, user_id: int, token: str) -> None:
        assert sessions.find_session(token) is None

    @pytest.mark.parametrize(
        ("is_operator", "idle"), [(False, sessions.IDLE), (True, sessions.OPERATOR_IDLE)]
    )
    def test_it_ends_after_idle_time(self, app: Flask, is_operator: bool, idle: timedelta) -> None:
        token = sessions.open_session(make_person("bob@example.com", is_operator=is_operator), "", "")
        with time_machine.travel(wall_now() + idle - timedelta(seconds=5), tick=False):
            assert sessions.find_session(token, touch=False)
        with time_machine.travel(wall_now() + idle, tick=False):
            assert sessions.find_session(token, touch=False) is None

    def test_use_keeps_it_alive_and_polling_does_not(self, user_id: int) -> None:
        begin = wall_now()
        used, polled = (sessions.open_session(user_id, "", "") for _ in range(2))
        with time_machine.travel(begin + sessions.IDLE * 0.9):
            assert sessions.find_session(used) and sessions.find_session(polled, touch=False)
        with time_machine.travel(begin + sessions.IDLE * 1.5):
            assert sessions.find_session(used) is not None
            assert sessions.find_session(polled, touch=False) is None

    def test_it_ends_after_the_absolute_time_however_much_it_is_used(self, user_id: int) -> None:
        token = sessions.open_session(user_id, "", "")
        begin = wall_now()
        for step in range(1, 79):
            with time_machine.travel(begin + step * timedelta(hours=10)):
                alive = sessions.find_session(token) is not None
                assert alive is (step * timedelta(hours=10) < sessions.ABSOLUTE)


class TestRevoke:
    def test_ending_the_others_keeps_the_named_one(self, user_id: int) -> None:
        here, there = (sessions.open_session(user_id, "", "") for _ in range(2))
        mine = sessions.find_session(here)
        assert mine is not None
        assert sessions.revoke_sessions(user_id, except_session_id=mine.session_id) == 1
        assert sessions.find_session(here) and not sessions.find_session(there)
        assert [s.id for s in sessions.sessions_of(user_id, False)] == [mine.session_id]

    def test_disabling_ends_every_session(self, user_id: int) -> None:
        token = sessions.open_session(user_id, "", "")
        users.disable_user(user_id, actor="command")
        assert sessions.find_session(token) is None
        assert db.session.query(UserSession).one().revoked_at is not None

    def test_becoming_an_operator_ends_every_session(self, user_id: int) -> None:
        token = sessions.open_session(user_id, "", "")
        users.set_operator(user_id, True, actor="command")
        assert sessions.find_session(token) is None

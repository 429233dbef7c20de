"""The second step of signing in: which codes are taken, how often, and by whom it is turned off."""

from datetime import UTC, datetime

import pyotp
import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from errors import Conflict, InvalidRequest, RateLimited, Unauthorized
from extensions import db
from models.accounts import RecoveryCode, SecondFactor
from services.accounts import second_factors, sessions
from services.accounts.sign_in import Browser, sign_in
from tests.visitor import PASSWORD, make_person

HERE = Browser("203.0.113.7")
NOON = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)


def set_up(user_id: int) -> tuple[pyotp.TOTP, list[str]]:
    setup = second_factors.begin_setup(user_id, "Coffer")
    app = pyotp.TOTP(setup.secret)
    return app, second_factors.confirm_setup(user_id, app.at(datetime.now(UTC)))


def step_on() -> str:
    """Sign in with the password alone."""
    return sign_in("ann@example.com", PASSWORD, HERE)


@pytest.fixture
def ann(app: Flask) -> int:
    return make_person("ann@example.com")


class TestSigningIn:
    def test_the_password_alone_opens_nothing(self, ann: int) -> None:
        with time_machine.travel(NOON, tick=False):
            set_up(ann)
            token = step_on()
            assert sessions.find_session(token) is None
            assert sessions.awaiting_code(token) is not None
            assert sessions.sessions_of(ann, False) == []

    def test_the_right_code_opens_a_session_of_another_token(self, ann: int) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            app, _ = set_up(ann)
            clock.shift(60)
            first = step_on()
            token = second_factors.prove(first, app.at(datetime.now(UTC)), HERE)
            assert sessions.find_session(token).user_id == ann
            assert sessions.awaiting_code(first) is None

    def test_no_code_is_taken_twice(self, ann: int) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            app, _ = set_up(ann)
            clock.shift(60)
            code = app.at(datetime.now(UTC))
            second_factors.prove(step_on(), code, HERE)
            with pytest.raises(InvalidRequest):
                second_factors.prove(step_on(), code, HERE)

    @pytest.mark.parametrize(("seconds", "is_taken"), [(-60, False), (-30, True), (30, True), (60, False)])
    def test_only_the_neighbouring_half_minutes_are_taken(
        self, ann: int, seconds: int, is_taken: bool
    ) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            app, _ = set_up(ann)
            clock.shift(300)
            code = app.at(int(datetime.now(UTC).timestamp()) + seconds)
            if is_taken:
                assert second_factors.prove(step_on(), code, HERE)
            else:
                with pytest.raises(InvalidRequest):
                    second_factors.prove(step_on(), code, HERE)

    def test_ten_minutes_later_one_begins_again(self, ann: int) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            app, _ = set_up(ann)
            clock.shift(60)
            token = step_on()
            clock.shift(601)
            with pytest.raises(Unauthorized):
                second_factors.prove(token, app.at(datetime.now(UTC)), HERE)

    def test_guessing_is_limited_wherever_it_comes_from(self, ann: int) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            app, _ = set_up(ann)
            clock.shift(60)
            token = step_on()
            with pytest.raises(RateLimited):
                for number in range(30):
                    try:
                        second_factors.prove(token, "000000", Browser(f"198.51.{number}.1"))
                    except InvalidRequest:
                        continue
            with pytest.raises(RateLimited):
                second_factors.prove(token, app.at(datetime.now(UTC)), HERE)


class TestRecovery:
    def test_each_code_lets_in_once(self, ann: int) -> None:
        _, codes = set_up(ann)
        assert len(set(codes)) == 10
        assert second_factors.prove(step_on(), codes[3].upper(), HERE)
        with pytest.raises(InvalidRequest):
            second_factors.prove(step_on(), codes[3], HERE)
        assert second_factors.second_step_of(ann).recovery_codes_left == 9

    def test_another_persons_code_is_worth_nothing(self, ann: int) -> None:
        set_up(ann)
        _, others = set_up(make_person("ben@example.com"))
        with pytest.raises(InvalidRequest):
            second_factors.prove(step_on(), others[0], HERE)

    def test_under_another_secret_key_the_recovery_codes_still_work(self, ann: int) -> None:
        _, codes = set_up(ann)
        second_factors.use_key("another secret key of this instance")
        with pytest.raises(Conflict, match="SECRET_KEY"):
            second_factors.prove(step_on(), "123456", HERE)
        assert second_factors.prove(step_on(), codes[0], HERE)


class TestSettingUp:
    def test_a_wrong_code_turns_nothing_on(self, ann: int) -> None:
        second_factors.begin_setup(ann, "Coffer")
        with pytest.raises(InvalidRequest):
            second_factors.confirm_setup(ann, "000000x")
        assert not second_factors.second_step_of(ann).is_on
        assert sessions.find_session(step_on()) is not None

    def test_the_secret_does_not_lie_in_the_database_in_clear(self, ann: int) -> None:
        setup = second_factors.begin_setup(ann, "Coffer")
        kept = db.session.scalar(select(SecondFactor.secret))
        assert setup.secret not in kept

    def test_one_that_is_on_is_not_told_again(self, ann: int) -> None:
        set_up(ann)
        with pytest.raises(Conflict):
            second_factors.begin_setup(ann, "Coffer")

    def test_turning_it_off_takes_the_password(self, ann: int) -> None:
        set_up(ann)
        with pytest.raises(InvalidRequest):
            second_factors.turn_off(ann, "not the password", HERE)
        assert second_factors.second_step_of(ann).is_on
        second_factors.turn_off(ann, PASSWORD, HERE)
        assert sessions.find_session(step_on()) is not None
        assert db.session.scalars(select(RecoveryCode)).all() == []

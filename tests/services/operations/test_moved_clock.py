"""The moved clock: a fact of the database that every process follows, and that no key may meet."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from errors import Conflict
from services import clock
from services.billing.environment import check_environment, detach, note_environment
from services.operations import moved_clock
from services.operations.facts import fact
from services.operations.moved_clock import ClockFollower, clock_was_moved_at, move_clock_to

AHEAD = timedelta(days=40)


def apart() -> timedelta:
    """How far the two clocks are from each other, to the second."""
    between = clock.business_now() - clock.wall_now()
    return timedelta(seconds=round(between.total_seconds()))


class TestMove:
    def test_business_is_ahead_and_the_wall_stays(self, either_app: Flask) -> None:
        said = move_clock_to(clock.wall_now() + AHEAD)
        assert apart() == AHEAD
        assert abs(clock.business_now() - said) < timedelta(seconds=5)
        assert clock_was_moved_at() is not None

    def test_an_earlier_instant_moves_nothing(self, app: Flask) -> None:
        move_clock_to(clock.wall_now() + AHEAD)
        move_clock_to(clock.wall_now() + timedelta(days=1))
        assert apart() == AHEAD

    def test_the_first_move_is_remembered(self, app: Flask) -> None:
        move_clock_to(clock.wall_now() + timedelta(days=1))
        first = clock_was_moved_at()
        move_clock_to(clock.wall_now() + timedelta(days=2))
        assert clock_was_moved_at() == first


class TestFollow:
    def test_another_process_follows(self, either_app: Flask) -> None:
        move_clock_to(clock.wall_now() + AHEAD)
        clock.move_business_clock(timedelta(0))  # a process that knows of nothing
        ClockFollower()()
        assert apart() == AHEAD

    def test_a_new_process_begins_where_the_clock_stands(self, app: Flask) -> None:
        move_clock_to(clock.wall_now() + AHEAD)
        clock.move_business_clock(timedelta(0))
        with create_app(app.extensions["settings"]).app_context():
            assert apart() == AHEAD

    def test_it_looks_once_a_second_at_most(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(moved_clock, "LOOK_SECONDS", 3600.0)
        follow = ClockFollower()
        follow()
        move_clock_to(clock.wall_now() + AHEAD)
        clock.move_business_clock(timedelta(0))
        follow()
        assert apart() == timedelta(0)

    def test_what_was_read_before_a_move_does_not_undo_it(self, app: Flask) -> None:
        clock.move_business_clock(AHEAD)  # moved, while a look had read nothing yet
        ClockFollower()()
        assert apart() == AHEAD

    def test_the_past_of_a_demo_is_left_alone(self, app: Flask) -> None:
        move_clock_to(clock.wall_now() + AHEAD)
        clock.set_business_offset(-AHEAD)
        ClockFollower()()
        assert apart() == -AHEAD
        clock.set_business_offset(None)
        assert apart() == AHEAD

    def test_a_database_without_tables_is_no_error(self, tmp_path: Path, app: Flask) -> None:
        settings = app.extensions["settings"].model_copy(
            update={"database_url": f"sqlite:///{tmp_path / 'new'}"}
        )
        with create_app(settings).app_context():
            assert apart() == timedelta(0)


class TestKeys:
    @pytest.mark.parametrize("environment", ["test", "live"])
    @pytest.mark.parametrize("check", [check_environment, note_environment])
    def test_a_moved_clock_bars_them_for_good(
        self, app: Flask, environment: str, check: Callable[[str], None]
    ) -> None:
        move_clock_to(clock.wall_now() + AHEAD)
        detach("command")
        with pytest.raises(Conflict, match="moved by time travel"):
            check(environment)
        assert fact("payment_environment") is None

    def test_the_sandbox_goes_on(self, app: Flask) -> None:
        move_clock_to(clock.wall_now() + AHEAD)
        note_environment("sandbox")
        assert fact("payment_environment") == "sandbox"

"""Two clocks: one that time travel moves, one that it does not."""

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services import clock

ROOT = Path(__file__).parents[2]


class TestTwoClocks:
    def test_time_travel_moves_business_alone(self) -> None:
        clock.set_business_offset(timedelta(days=30))
        apart = clock.business_now() - clock.wall_now()
        assert timedelta(days=30) - timedelta(seconds=5) < apart <= timedelta(days=30)
        assert abs(clock.wall_now() - datetime.now(UTC)) < timedelta(seconds=5)

    def test_both_are_utc_and_aware(self) -> None:
        assert clock.business_now().tzinfo is UTC
        assert clock.wall_now().tzinfo is UTC

    def test_boot_clock_runs_on(self) -> None:
        assert clock.boot_seconds() <= clock.boot_seconds()


class TestStoredForm:
    def test_microseconds_and_back(self) -> None:
        moment = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
        assert clock.from_microseconds(clock.to_microseconds(moment)) == moment

    def test_iso_is_utc_with_z(self) -> None:
        assert clock.iso(datetime(2026, 1, 31, 12, tzinfo=UTC)) == "2026-01-31T12:00:00Z"
        assert clock.iso(datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)) == "2026-01-31T12:00:00.000005Z"


class TestNobodyElseAsks:
    def test_ledger_takes_the_time_from_the_clock_alone(self) -> None:
        for path in (ROOT / "services" / "ledger").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute):
                    assert node.attr not in ("now", "utcnow", "today", "monotonic") or (
                        isinstance(node.value, ast.Name) and node.value.id in ("book", "self")
                    ), f"{path.name}:{node.lineno}"

"""Months from an anchor never drift; the rules by which credits expire."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.credit_expiry import credits_expire_at
from services.periods import month_index, months_after

ZONES = st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Pacific/Kiritimati", "Asia/Kolkata"])
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


class TestMonthsAfter:
    def test_a_short_month_shortens_only_itself(self) -> None:
        anchor = datetime(2026, 1, 31, 12, tzinfo=UTC)
        days = [months_after(anchor, months).strftime("%m-%d") for months in range(5)]
        assert days == ["01-31", "02-28", "03-31", "04-30", "05-31"]

    def test_the_hour_is_the_zones(self) -> None:
        anchor = datetime(2026, 2, 15, 14, tzinfo=UTC)  # 9:00 in New York, before summer time
        assert months_after(anchor, 1, "America/New_York") == datetime(2026, 3, 15, 13, tzinfo=UTC)

    def test_the_zone_decides_the_day(self) -> None:
        anchor = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)  # already February in Berlin
        assert months_after(anchor, 1, "Europe/Berlin") == datetime(2026, 2, 28, 23, 30, tzinfo=UTC)

    @given(anchor=MOMENTS, months=st.integers(0, 240), zone=ZONES)
    def test_each_month_begins_where_the_last_ends(self, anchor: datetime, months: int, zone: str) -> None:
        start, end = months_after(anchor, months, zone), months_after(anchor, months + 1, zone)
        assert timedelta(days=27) < end - start < timedelta(days=32)
        assert month_index(anchor, start, zone) == months
        assert month_index(anchor, end - timedelta(microseconds=1), zone) == months
        assert month_index(anchor, end, zone) == months + 1

    def test_before_the_anchor_is_refused(self) -> None:
        anchor = datetime(2026, 1, 31, tzinfo=UTC)
        with pytest.raises(ValueError, match="before"):
            month_index(anchor, anchor - timedelta(seconds=1))


class TestCreditsExpireAt:
    @pytest.mark.parametrize(
        ("rule", "expected"),
        [
            ("30d", datetime(2026, 1, 31, tzinfo=UTC)),
            ("period_end", datetime(2026, 2, 1, tzinfo=UTC)),
            ("period_end+3d", datetime(2026, 2, 4, tzinfo=UTC)),
            ("never", None),
        ],
    )
    def test_by_the_plans_rule(self, rule: str, expected: datetime | None) -> None:
        granted, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
        assert credits_expire_at(rule, granted, end) == expected

    @pytest.mark.parametrize("rule", ["", "d", "0d", "30", "period_end+0d", "30days", "Never"])
    def test_anything_else_is_refused(self, rule: str) -> None:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        with pytest.raises(ValueError, match="rule"):
            credits_expire_at(rule, now, now)

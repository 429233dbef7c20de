"""The journal as a reader sees it."""

from datetime import timedelta

import pytest

from errors import InvalidRequest, NotFound
from services.ledger import history as history_reads
from services.ledger.history import HistoryPage, HistoryQuery, allocations_of, history, line_of
from tests.conftest import make_credit_type
from tests.services.ledger.desk import Clock, Desk


def page(desk: Desk, **values: object) -> HistoryPage:
    return history(HistoryQuery(account_id=desk.account_id, **values))  # type: ignore[arg-type]


def amounts(found: HistoryPage) -> list[int]:
    return [line.amount for line in found.lines]


@pytest.fixture
def told(desk: Desk, clock: Clock) -> Desk:
    """Seven lines, a day apart: +100, -1, -2, -3, +3 (refund), -4, +50."""
    desk.grant(100, "purchase", description="Starter 100%")
    for units in (1, 2, 3):
        clock.advance(days=1)
        last = desk.spend(units, task_id=f"task-{units}").transaction_id
    clock.advance(days=1)
    desk.refund(last)
    clock.advance(days=1)
    desk.spend(4, description="Render_4")
    clock.advance(days=1)
    desk.grant(50, "subscription")
    return desk


ALL = [50, -4, 3, -3, -2, -1, 100]


class TestHistory:
    def test_newest_comes_first_with_a_running_balance(self, told: Desk) -> None:
        found = page(told)
        assert amounts(found) == ALL
        assert (found.total, found.has_more, found.next_cursor) == (7, False, None)
        assert [line.balance_after for line in found.lines] == [143, 93, 97, 94, 97, 99, 100]
        assert all(line.balance_before + line.amount == line.balance_after for line in found.lines)

    @pytest.mark.parametrize("kind", ["transactions", "usage", "bonus"])
    @pytest.mark.parametrize("with_second_type", [False, True])
    def test_cursor_and_offset_walk_the_same_lines(
        self, told: Desk, kind: str, with_second_type: bool
    ) -> None:
        if with_second_type:
            make_credit_type("sms", position=1)
            Desk(told.account_id, "sms").grant(7)
        whole = amounts(page(told, type=kind))
        by_cursor: list[int] = []
        cursor = None
        while True:
            found = page(told, type=kind, limit=2, cursor=cursor)
            by_cursor += amounts(found)
            if not found.has_more:
                break
            cursor = found.next_cursor
        assert by_cursor == whole
        by_offset = [n for at in range(0, 9, 2) for n in amounts(page(told, type=kind, limit=2, offset=at))]
        assert by_offset == whole

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [("purchases", [50, 100]), ("usage", [-4, 3, -3, -2, -1]), ("refund", [3]), ("subscription", [50]),
         ("expiry", [])],
    )  # fmt: skip
    def test_type_filters_and_its_total_is_exact(self, told: Desk, kind: str, expected: list[int]) -> None:
        found = page(told, type=kind)
        assert amounts(found) == expected
        assert found.total == len(expected)

    def test_dates_are_half_open(self, told: Desk, clock: Clock) -> None:
        since, until = clock.now - timedelta(days=3), clock.now - timedelta(days=1)
        found = page(told, since=since, until=until)
        assert amounts(found) == [3, -3]
        assert found.total == 2
        assert amounts(page(told, since=clock.now + timedelta(seconds=1))) == []

    def test_task_text_and_credit_type_filter(self, told: Desk) -> None:
        make_credit_type("sms", position=1)
        Desk(told.account_id, "sms").grant(7)
        assert amounts(page(told, task_id="task-3")) == [3, -3]
        assert amounts(page(told, text="render_")) == [-4]
        assert amounts(page(told, text="100%")) == [100]
        assert amounts(page(told, text="0_")) == []
        assert amounts(page(told, credit_type="sms")) == [7]
        assert amounts(page(told)) == [7, *ALL]
        assert page(told).total == 8

    def test_beyond_the_counting_limit_total_is_unknown(
        self, told: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(history_reads, "MOST_COUNTED", 2)
        assert page(told, text="task").total is None
        assert page(told, task_id="task-1").total == 1
        assert page(told).total == 7

    @pytest.mark.parametrize("values", [{"type": "gift"}, {"credit_type": "gold"}])
    def test_unknown_filter_is_refused(self, told: Desk, values: dict[str, str]) -> None:
        with pytest.raises(InvalidRequest):
            page(told, **values)

    def test_another_accounts_lines_are_not_shown(self, told: Desk) -> None:
        other = Desk.open()
        assert page(other).lines == []
        with pytest.raises(NotFound):
            line_of(other.account_id, page(told).lines[0].id)

    def test_line_shows_the_lots_it_drew_on(self, told: Desk) -> None:
        usage = page(told, task_id="task-3", type="usage").lines[-1]
        (drawn,) = allocations_of(usage.id)
        assert (drawn.grant_id, drawn.amount, drawn.source) == (told.lots()[0].id, -3, "purchase")

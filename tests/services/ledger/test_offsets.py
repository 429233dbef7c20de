"""An offset into a filtered history leads to the same line whichever place it was reached from."""

import random

import pytest

from services.ledger import offsets
from services.ledger.history import HistoryQuery, history
from services.ledger.offsets import Places
from tests.services.ledger.desk import Desk


def ids(desk: Desk, **values: object) -> list[int]:
    return [line.id for line in history(HistoryQuery(account_id=desk.account_id, **values)).lines]  # type: ignore[arg-type]


class TestOffsets:
    @pytest.mark.parametrize("kind", ["usage", "purchases", "bonus"])
    def test_any_offset_in_any_order_while_lines_come(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        monkeypatch.setattr(offsets, "MOST_PLACES", 4)
        pick = random.Random(7)
        desk.grant(1_000, "purchase")
        for _ in range(6):
            for _ in range(8):
                if pick.random() < 0.6:
                    desk.spend(1)
                else:
                    desk.grant(5, pick.choice(["purchase", "bonus"]))
            whole = ids(desk, type=kind, limit=100)
            for offset in pick.sample(range(len(whole) + 2), len(whole) + 2):
                assert ids(desk, type=kind, limit=3, offset=offset) == whole[offset : offset + 3]

    def test_second_visit_to_a_deep_place_skips_little(self, desk: Desk) -> None:
        skipped: list[int] = []

        def skip(start_id: int | None, lines: int, is_newer: bool) -> int:
            skipped.append(lines)
            start = start_id if start_id is not None else 0 if is_newer else 999
            return start + lines if is_newer else start - lines

        places = Places()
        for rank in (400, 395, 400, 2, 990):
            found = places.id_at((1, ("usage",), None), rank, 1_000, skip, in_one_snapshot=True)
            assert found == rank
        assert skipped == [400, 5, 2, 9]

    def test_what_was_counted_before_a_line_came_is_not_remembered(self) -> None:
        places = Places()
        of = (1, ("usage",), None)
        # One line more than was counted: from the newest end everything is one off.
        assert places.id_at(of, 8, 10, lambda _start, lines, _newer: 10 - lines, in_one_snapshot=False) == 9
        assert places._found == {}

    def test_many_filters_do_not_pile_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(offsets, "MOST_FILTERS", 3)
        places = Places()
        for account_id in range(10):
            places.id_at((account_id, ("usage",), None), 5, 100, lambda *_: 5, in_one_snapshot=True)
        assert len(places._found) == 3

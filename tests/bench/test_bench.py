"""What the benchmarks stand on: a filled ledger is whole, the floor adds up, the tables say what was found."""

from pathlib import Path

import pytest
from flask import Flask

from bench import document, results
from bench.bare import BareLedger
from bench.filling import add_account, fill
from bench.results import Report, Row
from services.ledger.history import HistoryQuery, history
from tests.conftest import assert_ledger_is_whole


class TestFill:
    def test_filled_ledger_is_proved_and_ends_at_its_lines(self, app: Flask) -> None:
        account_id = add_account("bench")
        fill(account_id, 2_500)
        page = history(HistoryQuery(account_id=account_id))
        assert page.total == 2_500
        assert page.lines[0].sequence == 2_500
        assert_ledger_is_whole()


class TestBareLedger:
    def test_deduct_moves_the_balance_once_per_key(self, tmp_path: Path) -> None:
        bare = BareLedger(tmp_path / "bare.sqlite")
        first = bare.deduct(7, "a")
        assert bare.deduct(7, "a") == first
        assert bare.deduct(2, "b") != first
        of = bare._connection.execute
        assert of("SELECT balance, used, sequence FROM balances").fetchone() == (10**9 - 9, 9, 2)
        assert of("SELECT remaining FROM lots").fetchone() == (10**9 - 9,)
        assert of("SELECT sum(amount) FROM allocations").fetchone() == (-9,)
        bare.close()


class TestRow:
    @pytest.mark.parametrize(
        ("ratio", "at_most", "verdict"),
        [(0.7, False, "goal"), (0.4, False, "first aim"), (0.2, False, "missed"), (0.2, True, "goal")],
    )
    def test_verdict_names_the_best_aim_that_is_met(self, ratio: float, at_most: bool, verdict: str) -> None:
        first, goal = (0.6, 0.3) if at_most else (0.3, 0.6)
        assert Row("x", "y", ratio=ratio, first=first, goal=goal, at_most=at_most).verdict == verdict


class TestWriteTables:
    def test_tables_replace_what_stood_between_the_markers(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page = tmp_path / "performance.md"
        page.write_text(f"before\n{document.BEGIN}\nold\n{document.END}\nafter\n")
        monkeypatch.setattr(document, "DOCUMENT", page)
        monkeypatch.setattr(results, "RESULTS", tmp_path)
        Report("one", "The title", [Row("a spend", "12/s", "24/s", 0.5, 0.3, 0.6)]).save()
        document.write_tables(["one", "never run"])
        text = page.read_text()
        assert "old" not in text
        assert "| a spend | 12/s     | 24/s   | 0.50 × (first aim) | ≥ 0.3 ×   | ≥ 0.6 × |" in text
        assert text.startswith("before\n")
        assert text.endswith("after\n")

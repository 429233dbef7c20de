"""The history as CSV."""

import csv
import io

import pytest

from services.ledger import export
from services.ledger.export import COLUMNS, as_text_cell, csv_page
from services.ledger.history import HistoryQuery
from tests.conftest import make_credit_type
from tests.services.ledger.desk import Desk


def pages(desk: Desk, **values: object) -> list[str]:
    """The export as its reader asks for it, a page after the other."""
    query = HistoryQuery(account_id=desk.account_id, **values)  # type: ignore[arg-type]
    text, cursor = csv_page(query, None)
    found = [text]
    while cursor is not None:
        text, cursor = csv_page(query, cursor)
        found.append(text)
    return found


def lines(desk: Desk, **values: object) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(pages(desk, **values)))))


def test_empty_history_is_a_head_alone(desk: Desk) -> None:
    assert pages(desk) == [",".join(COLUMNS) + "\r\n"]


@pytest.mark.parametrize("page", [1, 3, 7, 500])
def test_every_line_stands_once_whatever_the_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(export, "LINES_A_PAGE", page)
    desk.grant(100)
    for units in range(1, 7):
        desk.spend(units)
    found = lines(desk)
    assert [line["amount"] for line in found] == ["-6", "-5", "-4", "-3", "-2", "-1", "100"]
    assert found[0]["balance_before"] == found[1]["balance_after"] == "85"
    assert [line["type"] for line in lines(desk, type="bonus")] == ["bonus"]


def test_is_read_a_page_at_a_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LINES_A_PAGE", 2)
    desk.grant(100)
    for _ in range(4):
        desk.spend(1)
    assert [page.count("\r\n") for page in pages(desk)] == [3, 2, 1]


def test_amounts_have_the_digits_of_their_type(desk: Desk) -> None:
    make_credit_type("sms", scale=4, position=1)
    Desk(desk.account_id, "sms").grant(12_500)
    assert lines(desk)[0]["amount"] == "1.2500"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_what_a_spreadsheet_would_run_is_text(desk: Desk, text: str) -> None:
    desk.grant(10)
    desk.spend(1, description=text, task_id=text)
    found = lines(desk)[0]
    assert found["description"] == found["task_id"] == f"'{text}"


@pytest.mark.parametrize("text", ["", "Poster", "a=b", "1-2", "'quoted", 'with "quotes", and\na line'])
def test_other_text_is_kept(desk: Desk, text: str) -> None:
    assert as_text_cell(text) == text
    desk.grant(10, description=text)
    assert lines(desk)[0]["description"] == text

"""The history as CSV and JSON."""

import csv
import io
import json
from typing import Any

import pytest

from services.export_formats import as_text_cell, csv_of_record, csv_row, json_part
from services.ledger import export
from services.ledger.export import AMOUNTS, COLUMNS, record_page
from services.ledger.history import HistoryQuery
from tests.conftest import make_credit_type
from tests.services.ledger.desk import Desk


def pages(desk: Desk, **values: object) -> list[str]:
    """The export as its reader asks for it, a page after the other."""
    query = HistoryQuery(account_id=desk.account_id, **values)  # type: ignore[arg-type]
    records, cursor = record_page(query, None)
    found = [csv_row(COLUMNS) + as_csv(records)]
    while cursor is not None:
        records, cursor = record_page(query, cursor)
        found.append(as_csv(records))
    return found


def as_csv(records: list[dict[str, Any]]) -> str:
    return "".join(csv_of_record(record, AMOUNTS) for record in records)


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


@pytest.mark.parametrize("sizes", [[0], [1], [2, 1], [2, 2, 0]])
def test_pages_of_json_make_one_list(sizes: list[int]) -> None:
    pages = [[{"page": number, "place": place} for place in range(size)] for number, size in enumerate(sizes)]
    last = len(pages) - 1
    text = "".join(
        json_part(page, is_first=number == 0, is_last=number == last) for number, page in enumerate(pages)
    )
    assert json.loads(text) == [record for page in pages for record in page]

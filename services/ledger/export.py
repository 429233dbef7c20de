"""The journal as CSV, page by page, whatever its length."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from services.clock import iso
from services.ledger.history import HistoryLine, HistoryQuery, history
from services.money import from_units

COLUMNS = (
    "id", "created_at", "type", "credit_type", "amount", "balance_before", "balance_after", "task_id",
    "description", "quantity", "unit_cost", "payment_method", "metadata",
)  # fmt: skip
AMOUNTS = ("amount", "balance_before", "balance_after")
LINES_A_PAGE = 500
# A spreadsheet runs what begins like this as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_page(query: HistoryQuery, cursor: int | None) -> tuple[str, int | None]:
    """The CSV of the lines after a cursor (None: from the newest, with the head), and the next cursor.

    The next cursor is None at the end. A page is a read of its own, so an export of any length keeps
    neither a connection nor a snapshot while its reader is slow.
    """
    page = history(replace(query, limit=LINES_A_PAGE, offset=0, cursor=cursor))
    head = csv_row(COLUMNS) if cursor is None else ""
    return head + "".join(csv_of_record(record_of(line)) for line in page.lines), page.next_cursor


def lines_of(query: HistoryQuery) -> Iterator[HistoryLine]:
    """Every line of a query, newest first, read page by page."""
    cursor: int | None = None
    while True:
        page = history(replace(query, limit=LINES_A_PAGE, offset=0, cursor=cursor))
        yield from page.lines
        if (cursor := page.next_cursor) is None:
            return


def record_of(line: HistoryLine) -> dict[str, Any]:
    """A line under the names of ``COLUMNS``; amounts as exact decimal text in the credit type."""
    amounts = [f"{from_units(units, line.scale):f}" for units in (line.amount, line.balance_before, line.balance_after)]
    values = (
        line.id, iso(line.created_at), line.type, line.credit_type, *amounts, line.task_id, line.description,
        line.quantity, line.unit_cost, line.payment_method, line.details,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def csv_row(values: Iterable[Any]) -> str:
    """One line of CSV, as it is: for the head."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow(values)
    return buffer.getvalue()


def csv_of_record(record: dict[str, Any]) -> str:
    """A record as CSV. Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    return csv_row(value if name in AMOUNTS else as_text_cell(value) for name, value in record.items())


def as_text_cell(value: Any) -> str:
    """A cell that a spreadsheet takes as text: what looks like a formula gets an apostrophe in front."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text

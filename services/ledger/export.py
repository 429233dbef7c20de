"""The journal as CSV, page by page, whatever its length."""

import csv
import io
from dataclasses import replace

from services.clock import iso
from services.ledger.history import HistoryLine, HistoryQuery, history
from services.money import from_units

COLUMNS = (
    "id", "created_at", "type", "credit_type", "amount", "balance_before", "balance_after", "task_id",
    "description", "quantity", "unit_cost", "payment_method", "metadata",
)  # fmt: skip
LINES_A_PAGE = 500
# A spreadsheet runs what begins like this as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_page(query: HistoryQuery, cursor: int | None) -> tuple[str, int | None]:
    """The CSV of the lines after a cursor (None: from the newest, with the head), and the next cursor.

    The next cursor is None at the end. A page is a read of its own, so an export of any length keeps
    neither a connection nor a snapshot while its reader is slow.
    """
    page = history(replace(query, limit=LINES_A_PAGE, offset=0, cursor=cursor))
    head = [COLUMNS] if cursor is None else []
    return _rows([*head, *(_cells(line) for line in page.lines)]), page.next_cursor


def _cells(line: HistoryLine) -> tuple[str, ...]:
    texts = (line.task_id, line.description, line.quantity, line.unit_cost, line.payment_method, line.details)
    numbers = (line.amount, line.balance_before, line.balance_after)
    return (
        str(line.id),
        iso(line.created_at),
        line.type,
        line.credit_type,
        *(f"{from_units(units, line.scale):f}" for units in numbers),
        *(as_text_cell(text or "") for text in texts),
    )


def as_text_cell(text: str) -> str:
    """Text that a spreadsheet takes as text: what looks like a formula gets an apostrophe in front."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _rows(rows: list[tuple[str, ...]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()

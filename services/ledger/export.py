"""The journal as records for other programs, page by page, whatever its length."""

from collections.abc import Iterator
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


def record_page(query: HistoryQuery, cursor: int | None) -> tuple[list[dict[str, Any]], int | None]:
    """The records of the lines after a cursor (None: from the newest), and the next cursor, None at the end.

    A page is a read of its own, so an export of any length keeps neither a connection nor a snapshot while
    its reader is slow.
    """
    page = history(replace(query, limit=LINES_A_PAGE, offset=0, cursor=cursor))
    return [record_of(line) for line in page.lines], page.next_cursor


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
    amounts = [
        f"{from_units(units, line.scale):f}"
        for units in (line.amount, line.balance_before, line.balance_after)
    ]
    values = (
        line.id, iso(line.created_at), line.type, line.credit_type, *amounts, line.task_id, line.description,
        line.quantity, line.unit_cost, line.payment_method, line.details,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))

"""Records as CSV and JSON text, a page at a time."""

import csv
import io
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

FORMATS = ("csv", "json")
# A spreadsheet runs what begins like this as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_row(values: Iterable[Any]) -> str:
    """One line of CSV, as it is: for the head."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow(values)
    return buffer.getvalue()


def csv_of_record(record: dict[str, Any], numbers: Collection[str]) -> str:
    """A record as CSV. What is not named among the numbers is text, and never a formula."""
    return csv_row(value if name in numbers else as_text_cell(value) for name, value in record.items())


def as_text_cell(value: Any) -> str:
    """A cell that a spreadsheet takes as text: what looks like a formula gets an apostrophe in front."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def json_part(records: Sequence[dict[str, Any]], *, is_first: bool, is_last: bool) -> str:
    """A page of a JSON list, a record a line; all the pages one after the other are the list."""
    before = "[" if is_first else ","
    body = ",".join(f"\n{json.dumps(record)}" for record in records)
    start = before if records or is_first else ""
    return start + body + ("\n]\n" if is_last else "")

"""Records of any number as a file to download, streamed page by page."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from flask import Flask, Response, current_app

from services.export_formats import csv_of_record, csv_row, json_part

# Reads the records after a cursor (None: the first ones) and says the next cursor, None at the end.
ReadPage = Callable[[int | None], tuple[list[dict[str, Any]], int | None]]
MIMETYPES = {"csv": "text/csv", "json": "application/json"}


def download(
    name: str, form: str, columns: Sequence[str], numbers: Collection[str], read_page: ReadPage
) -> Response:
    """The records as ``name``.csv or .json. ``numbers``: the columns that are no text."""
    app = current_app._get_current_object()

    def write(records: list[dict[str, Any]], is_first: bool, is_last: bool) -> str:
        if form == "json":
            return json_part(records, is_first=is_first, is_last=is_last)
        head = csv_row(columns) if is_first else ""
        return head + "".join(csv_of_record(record, numbers) for record in records)

    return Response(
        _parts(app, read_page, write),
        mimetype=MIMETYPES[form],
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{form}"',
            "Cache-Control": "private, no-store",
        },
    )


def _parts(
    app: Flask, read_page: ReadPage, write: Callable[[list[dict[str, Any]], bool, bool], str]
) -> Iterator[str]:
    """Each page in an application context of its own: none is held while the reader is slow."""
    cursor = None
    while True:
        is_first = cursor is None
        with app.app_context():
            records, cursor = read_page(cursor)
        yield write(records, is_first, cursor is None)
        if cursor is None:
            return

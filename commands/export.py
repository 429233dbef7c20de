"""``export transactions``: the journal of every account, or of one, as CSV or JSON."""

import json
from collections.abc import Iterator
from typing import Any

import click
from flask.cli import AppGroup

from commands.refusals import one_line_refusals
from services.accounts.accounts import MOST_PER_PAGE, account_by_name, account_view, list_accounts
from services.export_formats import csv_of_record, csv_row
from services.ledger.export import AMOUNTS, COLUMNS, lines_of, record_of
from services.ledger.history import HistoryQuery

group = AppGroup("export", help="What the ledger holds, for other programs.")


@group.command("transactions")
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@click.option("--account", help="One account, by slug or external id; all where left out.")
@click.option("--type", "line_type", default="transactions", show_default=True, help="A line type or group.")
@one_line_refusals
def transactions(form: str, account: str | None, line_type: str) -> None:
    """Write the lines to standard output, newest first within each account."""
    records = (
        {"account": slug, **record_of(line)}
        for account_id, slug in _chosen(account)
        for line in lines_of(HistoryQuery(account_id=account_id, type=line_type))
    )
    write = _json if form == "json" else _csv
    for text in write(records):
        click.echo(text, nl=False)


def _json(records: Iterator[dict[str, Any]]) -> Iterator[str]:
    """A list with a record a line."""
    before = "["
    for record in records:
        yield f"{before}\n{json.dumps(record)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _csv(records: Iterator[dict[str, Any]]) -> Iterator[str]:
    """The head, then a record a line."""
    yield csv_row(("account", *COLUMNS))
    for record in records:
        yield csv_of_record(record, AMOUNTS)


def _chosen(name: str | None) -> Iterator[tuple[int, str]]:
    """The accounts to export: id and slug."""
    if name is not None:
        view = account_view(account_by_name(name))
        yield view.id, view.slug
        return
    cursor: int | None = None
    while True:
        page = list_accounts(limit=MOST_PER_PAGE, cursor=cursor)
        yield from ((view.id, view.slug) for view in page.accounts)
        if (cursor := page.next_cursor) is None:
            return

"""``flask accounts …``: make, list, freeze and free accounts."""

import json
from dataclasses import asdict

import click
from flask.cli import AppGroup

from commands.refusals import one_line_refusals
from errors import Conflict
from services.accounts.account_fields import SETTABLE_STATUSES
from services.accounts.accounts import (
    MOST_PER_PAGE,
    AccountView,
    NewAccount,
    account_by_name,
    create_account,
    list_accounts,
    update_account,
)
from services.clock import iso

accounts = AppGroup("accounts", help="Accounts that hold credits.")


@accounts.command("create")
@click.argument("slug")
@click.option("--name", required=True)
@click.option("--kind", type=click.Choice(["client", "agency"]), default="client", show_default=True)
@click.option("--agency", help="Name of the agency that a client belongs to.")
@click.option("--external-id", help="The team's own id of the account.")
@click.option("--catalogue", help="Code; the default one where left out.")
@click.option("--email", help="Where receipts go.")
@click.option("--time-zone", default="UTC", show_default=True)
@click.option("--locale", default="en_US", show_default=True)
@one_line_refusals
def create(slug: str, external_id: str | None, **values: str) -> None:
    """Make an account and print its slug."""
    account, created = create_account(NewAccount(slug=slug, external_id=external_id, **values))
    if not created:
        raise Conflict(f"The external id {external_id!r} is that of the account {account.slug}.")
    click.echo(account.slug)


@accounts.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
def show(as_json: bool) -> None:
    """Every account."""
    found = _every_account()
    if as_json:
        click.echo(json.dumps([_json_of(account) for account in found], indent=2))
        return
    for account in found:
        click.echo(f"{account.slug}\t{account.kind}\t{account.status}\t{account.name}")


@accounts.command("status")
@click.argument("slug")
@click.argument("status", type=click.Choice(SETTABLE_STATUSES))
@one_line_refusals
def change_status(slug: str, status: str) -> None:
    """Freeze an account, free it, or mark it past due."""
    account = update_account(account_by_name(slug), {"status": status})
    click.echo(f"{account.slug} is {account.status}")


def _every_account() -> list[AccountView]:
    found: list[AccountView] = []
    cursor: int | None = None
    while True:
        page = list_accounts(limit=MOST_PER_PAGE, cursor=cursor)
        found += page.accounts
        cursor = page.next_cursor
        if cursor is None:
            return found


def _json_of(account: AccountView) -> dict[str, object]:
    return asdict(account) | {"created_at": iso(account.created_at)}

"""``flask keys …``: mint, list and revoke API keys."""

import json
from datetime import datetime

import click
from flask.cli import AppGroup

from commands.refusals import one_line_refusals
from services.accounts import api_keys
from services.accounts.accounts import account_by_name
from services.clock import iso

keys = AppGroup("keys", help="API keys.")


@keys.command("create")
@click.option("--account", "slug", help="The one account the key acts on.")
@click.option("--platform", is_flag=True, help="A key of the whole instance.")
@click.option("--scopes", default=",".join(api_keys.DEFAULT_SCOPES), show_default=True)
@click.option("--name", default="", help="What the key is for.")
@one_line_refusals
def create(slug: str | None, platform: bool, scopes: str, name: str) -> None:
    """Mint a key and print it, alone; it is shown this once."""
    if bool(slug) == platform:
        raise click.ClickException("Say either --account SLUG or --platform.")
    account_id = account_by_name(slug) if slug else None
    wanted = tuple(scope.strip() for scope in scopes.split(","))
    click.echo(api_keys.mint(account_id, "command", wanted, name).token)


@keys.command("list")
@click.option("--account", "slug", help="Of one account only.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@one_line_refusals
def show(slug: str | None, as_json: bool) -> None:
    """Every key, without the secret part."""
    found = api_keys.list_keys(account_by_name(slug) if slug else None)
    if as_json:
        click.echo(json.dumps([_json_of(key) for key in found], indent=2))
        return
    for key in found:
        state = "revoked" if key.revoked_at else "active"
        used = _iso(key.last_used_at) or "never used"
        owner = key.account or "platform"
        click.echo(f"{key.id}\t{key.prefix}…\t{owner}\t{','.join(key.scopes)}\t{state}\t{used}\t{key.name}")


@keys.command("revoke")
@click.argument("key_id", type=click.IntRange(min=1, max=2**63 - 1), metavar="ID")
@one_line_refusals
def revoke(key_id: int) -> None:
    """End a key for good, by its number in the list."""
    api_keys.revoke(key_id)
    click.echo(f"key {key_id} is revoked")


def _json_of(key: api_keys.KeyView) -> dict[str, object]:
    return {
        "id": key.id,
        "prefix": key.prefix,
        "name": key.name,
        "account": key.account,
        "scopes": list(key.scopes),
        "created_by": key.created_by,
        "created_at": iso(key.created_at),
        "last_used_at": _iso(key.last_used_at),
        "revoked_at": _iso(key.revoked_at),
    }


def _iso(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None

"""``flask --app app catalog …``: load a catalogue file, write one out, list them."""

import json
from pathlib import Path

import click
from flask.cli import AppGroup

from commands.refusals import one_line_refusals
from services.catalog.catalogs import catalogs
from services.catalog.exports import export_catalog
from services.catalog.plans import plans_on_offer
from services.catalog.presets import load_preset

group = AppGroup("catalog", help="What is sold: load, export, list.")


@group.command("load")
@click.argument("file", type=click.Path(path_type=Path))
@one_line_refusals
def load(file: Path) -> None:
    """Make a catalogue what FILE says; what is gone from it is archived."""
    loaded = load_preset(file, "command")
    click.echo(
        f"{loaded.catalog}: {loaded.plans} plans, {loaded.packages} packages, {loaded.archived} archived"
    )


@group.command("export")
@click.argument("code")
@one_line_refusals
def export(code: str) -> None:
    """Print a catalogue as a file that loads to the same."""
    click.echo(export_catalog(code), nl=False)


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@one_line_refusals
def list_catalogs(as_json: bool) -> None:
    """Every catalogue with how much it offers."""
    rows = []
    for catalog in catalogs():
        offer = plans_on_offer(catalog.code)
        assert offer is not None
        rows.append(
            {
                "code": catalog.code,
                "name": catalog.name,
                "currency": catalog.currency,
                "default": catalog.is_default,
                "plans": len(offer.plans),
                "packages": len(offer.packages),
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        mark = "  default" if row["default"] else ""
        click.echo(
            f"{row['code']:<20} {row['plans']} plans, {row['packages']} packages, {row['currency']}{mark}"
        )

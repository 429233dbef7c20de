"""``flask --app app stripe …``: the instance and its payment provider."""

import click
from flask import current_app
from flask.cli import AppGroup

from commands.refusals import one_line_refusals
from services.billing.environment import detach as detach_environment
from services.billing.stripe_sync import sync_catalog

group = AppGroup("stripe", help="The payment provider.")


@group.command("sync")
@click.option("--catalog", help="The code of one catalogue; all of them without.")
@one_line_refusals
def sync(catalog: str | None) -> None:
    """Bring products, prices and coupons of the catalogue to the payment provider."""
    report = sync_catalog(current_app.extensions["payments"], catalog)
    changed = ", ".join(report.changed) or "nothing was new"
    click.echo(f"{report.products} products, {report.prices} prices, {report.coupons} coupons: {changed}")


@group.command("detach")
@click.option("--yes", is_flag=True, help="Do not ask.")
@one_line_refusals
def detach(yes: bool) -> None:
    """Let go of the payment environment that this database has lived in, to use another key.

    Customers and prices at the provider are forgotten and orders under way are closed. Credits and
    payments stay.
    """
    if not yes:
        click.confirm("Forget the provider's customers and close the orders under way?", abort=True)
    forgotten = detach_environment("command")
    click.echo("Detached: " + ", ".join(f"{count} {name}" for name, count in forgotten.items()))

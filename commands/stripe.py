"""``flask --app app stripe …``: the instance and its payment provider."""

import click
from flask.cli import AppGroup

from commands.refusals import one_line_refusals
from services.billing.environment import detach as detach_environment

group = AppGroup("stripe", help="The payment provider.")


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

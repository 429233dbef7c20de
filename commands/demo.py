"""``demo load``: fill a new database with the demo; the server does the same on a first start."""

from functools import partial

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from errors import CofferError
from payments_wiring import pay_in_sandbox
from services.demo.loading import load_demo

group = AppGroup("demo", help="Accounts with weeks of history, to look around in.")


@group.command("load")
def load() -> None:
    """Fill a new database and print how to sign in."""
    if not current_app.extensions["settings"].uses_sandbox:
        raise click.ClickException("The demo is for instances without a Stripe key.")
    try:
        lines = loaded(current_app._get_current_object())  # type: ignore[attr-defined]
    except CofferError as refusal:
        raise click.ClickException(refusal.detail) from None
    click.echo("\n".join(lines))


def loaded(app: Flask) -> list[str]:
    """Load the demo and return what to print: the passwords are told this once."""
    demo = load_demo(app.extensions["payments"], partial(pay_in_sandbox, app))
    people = [f"  {login.email:<26} {login.password}   {login.about}" for login in demo.logins]
    return [
        "The demo is loaded. These log-ins are shown this once:",
        *people,
        f"API key of Northwind Studio: {demo.api_key}",
        f"  curl -H 'Authorization: Bearer {demo.api_key}' "
        f"{app.extensions['settings'].base_url}/api/credits/balance",
    ]

"""``demo load``: fill a new database with the demo; the server does the same on a first start.

``demo travel``: move the product's clock forward where no server runs; on a running one the console does it.
"""

from functools import partial

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from commands.refusals import one_line_refusals
from errors import CofferError
from extensions import db
from jobs.time_travel import Traveller, traveller_for
from payments_wiring import pay_in_sandbox
from services.clock import iso
from services.demo.loading import load_demo
from services.operations.time_travel import Journey, destination, last_journey

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


@group.command("travel")
@click.argument("span", required=False)
@click.option("--continue", "goes_on", is_flag=True, help="Go on with a journey that was interrupted.")
@one_line_refusals
def travel(span: str | None, goes_on: bool) -> None:
    """Move the clock forward by SPAN, such as 12h or 30d, or to the soonest cycle-end. There is no way back."""
    if (span is None) != goes_on:
        raise click.UsageError("Give a span such as 30d, or --continue.")
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    to_at = destination(span) if span else None
    traveller = traveller_for(app)
    try:
        if to_at is None:
            traveller.take_over("command")
        else:
            traveller.begin(to_at, "command")
        _drive(traveller)
    finally:
        app.extensions["payments"].stop()


def _drive(traveller: Traveller) -> None:
    """Drive to the end, a line a day. Exits with 1 where the journey failed."""
    shown: set[str] = set()

    def watch(journey: Journey) -> None:
        day = iso(journey.at)[:10]
        if day not in shown:
            shown.add(day)
            click.echo(f"{day}  {journey.percent} %")

    traveller.drive(watch)
    db.session.rollback()
    journey = last_journey()
    assert journey is not None
    for problem in journey.problems:
        click.echo(problem, err=True)
    if journey.state == "failed":
        raise click.ClickException("The journey failed; go on with: flask --app app demo travel --continue")
    click.echo(f"It is {iso(journey.at)} now ({journey.steps} steps).")


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

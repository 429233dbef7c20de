"""``flask --app app webhooks …``: the inbox of Stripe's events."""

import json

import click
from flask import current_app
from flask.cli import AppGroup

from commands.refusals import one_line_refusals
from models.inbox import INBOX_STATES
from services.billing.inbox import EventView, event_named, events
from services.billing.inbox import replay as replay_event
from services.clock import iso

group = AppGroup("webhooks", help="Stripe's events: list, process again.")


@group.command("list")
@click.option("--state", type=click.Choice(INBOX_STATES), help="Only these.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@one_line_refusals
def list_events(state: str | None, limit: int, as_json: bool) -> None:
    """The newest events and what became of them."""
    rows = [_row(event) for event in events(state, limit)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['id']}  {row['state']:<9} {row['received_at']}  {row['type']}")
        if row["error"]:
            click.echo(f"    {row['error']}")


def _row(event: EventView) -> dict[str, str | int | None]:
    return {
        "id": event.stripe_event_id,
        "type": event.type,
        "object": event.object_id,
        "state": event.state,
        "attempts": event.attempts,
        "error": event.error,
        "received_at": iso(event.received_at),
        "next_attempt_at": iso(event.next_attempt_at) if event.next_attempt_at else None,
        "processed_at": iso(event.processed_at) if event.processed_at else None,
    }


@group.command("replay")
@click.argument("event_id", metavar="ID")
@one_line_refusals
def replay(event_id: str) -> None:
    """Process the event of this ID again; what it led to already is not done twice."""
    state = replay_event(event_id, current_app.extensions["payments"])
    found, _ = event_named(event_id)
    if state == "failed":
        raise click.ClickException(f"{event_id} failed: {found.error}")
    click.echo(f"{event_id}: {state}")

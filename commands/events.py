"""``flask events …`` and ``flask endpoints …``: what other programs are told, and where."""

import json

import click
from flask import current_app
from flask.cli import AppGroup

from commands.refusals import one_line_refusals
from services.accounts.accounts import account_by_name
from services.clock import iso
from services.events import endpoints as service
from services.events.endpoints import EndpointView, NewEndpoint
from services.events.kinds import EVENT_TYPES
from services.events.reading import events_after

events = AppGroup("events", help="What happened, in published order.")
endpoints = AppGroup("endpoints", help="Where events are sent: make, list, new secret, enable again.")
ACTOR = "command"


@events.command("list")
@click.option("--after", default=0, type=click.IntRange(min=0, max=2**63 - 1), help="Only above this number.")
@click.option("--account", "slug", help="Of one account only.")
@click.option("--type", "event_type", type=click.Choice(tuple(EVENT_TYPES)), help="Only these.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@one_line_refusals
def list_events(after: int, slug: str | None, event_type: str | None, limit: int, as_json: bool) -> None:
    """Events, oldest first."""
    account_id = account_by_name(slug) if slug else None
    page = events_after(after, limit=limit, account_id=account_id, event_type=event_type)
    found = [json.loads(body) for body in page.bodies]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for event in found:
        account = event["account"] or "-"
        click.echo(f"{event['sequence']}\t{event['timestamp']}\t{event['type']}\t{account}\t{event['id']}")


@endpoints.command("create")
@click.argument("url")
@click.option("--account", "slug", help="Only of this account; by default of every account.")
@click.option("--types", default="", help="Comma-separated; by default every type.")
@click.option("--description", default="")
@one_line_refusals
def create(url: str, slug: str | None, types: str, description: str) -> None:
    """Send events to URL from now on and print the secret, alone; it is shown this once."""
    account_id = account_by_name(slug) if slug else None
    wanted = tuple(name.strip() for name in types.split(",") if name.strip())
    new = NewEndpoint(url=url, account_id=account_id, types=wanted, description=description)
    sender = current_app.extensions["webhook_sender"]
    click.echo(service.create_endpoint(new, ACTOR, sender.check_url).secret)


@endpoints.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@one_line_refusals
def list_endpoints(as_json: bool) -> None:
    """Every endpoint, without its secret."""
    found = service.list_endpoints()
    if as_json:
        click.echo(json.dumps([_json_of(each) for each in found], indent=2))
        return
    for each in found:
        state = "enabled" if each.is_enabled else f"disabled: {each.disabled_reason}"
        types = ",".join(each.types) or "every type"
        click.echo(f"{each.public_id}\t{each.url}\t{each.account or 'every account'}\t{types}\t{state}")


@endpoints.command("roll")
@click.argument("endpoint_id", metavar="ID")
@one_line_refusals
def roll(endpoint_id: str) -> None:
    """Print a new secret; the old one is signed with too for a day."""
    click.echo(service.roll_secret(endpoint_id, ACTOR))


@endpoints.command("enable")
@click.argument("endpoint_id", metavar="ID")
@one_line_refusals
def enable(endpoint_id: str) -> None:
    """Send to an endpoint again."""
    service.enable_endpoint(endpoint_id, ACTOR)
    click.echo(f"{endpoint_id} is enabled")


def _json_of(each: EndpointView) -> dict[str, object]:
    return {
        "id": each.public_id,
        "url": each.url,
        "description": each.description,
        "account": each.account,
        "types": list(each.types),
        "enabled": each.is_enabled,
        "failures": each.failures,
        "disabled_at": iso(each.disabled_at) if each.disabled_at else None,
        "disabled_reason": each.disabled_reason,
        "created_by": each.created_by,
        "created_at": iso(each.created_at),
    }

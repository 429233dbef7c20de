"""``flask --app app users …``: create, list, disable."""

import json
import secrets
import sys
from typing import Any

import click
from flask.cli import AppGroup

from commands.refusals import one_line_refusals
from errors import NotFound
from services.accounts import memberships, second_factors, users
from services.accounts.accounts import account_by_name
from services.clock import iso

group = AppGroup("users", help="People who sign in.")


@group.command("create")
@click.argument("email")
@click.option("--operator", is_flag=True, help="May use the whole instance.")
@click.option("--account", "slug", help="Slug or external id of an account to belong to.")
@click.option("--role", type=click.Choice(["owner", "member", "viewer"]), default="owner", show_default=True)
@click.option("--name", default="", help="The person's name.")
@one_line_refusals
def create(email: str, operator: bool, slug: str | None, role: str, name: str) -> None:
    """Create a person. The password is read from standard input where something is piped in; otherwise one
    is made and printed, once."""
    piped = None if sys.stdin is None or sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    password = piped or secrets.token_urlsafe(15)
    account_id = account_by_name(slug) if slug else None
    memberships.create_member(
        email, password, name=name, is_operator=operator, account_id=account_id, role=role, actor="command"
    )
    if not piped:
        click.echo(password)


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_users(as_json: bool) -> None:
    """List everybody."""
    rows = [_row(person) for person in users.people()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        marks = [
            word
            for word, is_set in (("operator", row["operator"]), ("disabled", row["disabled_at"]))
            if is_set
        ]
        accounts = ", ".join(f"{a['account']} ({a['role']})" for a in row["accounts"])
        click.echo("  ".join(part for part in (row["email"], row["name"], " ".join(marks), accounts) if part))


@group.command("disable")
@click.argument("email")
@one_line_refusals
def disable(email: str) -> None:
    """Shut a person out and end every session."""
    person = users.person_with_email(email)
    if person is None:
        raise NotFound(f"There is no user with the e-mail address {email}.")
    users.disable_user(person.id, actor="command")


@group.command("reset-second-step")
@click.argument("email")
@one_line_refusals
def reset_second_step(email: str) -> None:
    """Let a person who has lost authenticator and recovery codes sign in with the password alone."""
    person = users.person_with_email(email)
    if person is None:
        raise NotFound(f"There is no user with the e-mail address {email}.")
    second_factors.remove(person.id, actor="command")


def _row(person: users.Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "email": person.email,
        "name": person.name,
        "operator": person.is_operator,
        "created_at": iso(person.created_at),
        "last_login_at": iso(person.last_login_at) if person.last_login_at else None,
        "disabled_at": iso(person.disabled_at) if person.disabled_at else None,
        "accounts": [{"account": b.slug, "role": b.role} for b in memberships.belongings_of(person.id)],
    }

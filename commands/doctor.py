"""``flask doctor``: what commonly goes wrong, looked at."""

import json
from dataclasses import asdict

import click
from flask import current_app
from flask.cli import with_appcontext

from services.operations.diagnosis import diagnosis


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_appcontext
def doctor(as_json: bool) -> None:
    """Look at database, disk, backups, keys, payments and mail; exit code 1 where something must be mended."""
    findings = diagnosis(current_app.extensions["settings"])
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(f"{finding.state:<5} {finding.name:<16} {finding.detail}")
    if any(finding.state == "fail" for finding in findings):
        raise SystemExit(1)

"""``flask --app app ledger verify``: the proof."""

import dataclasses
import json

import click
from flask import current_app
from flask.cli import AppGroup

from commands.refusals import one_line_refusals
from config import Settings
from services.ledger.proof import HEADS_FILE, ProofReport
from services.operations.proof_record import prove_and_keep

group = AppGroup("ledger", help="The ledger: prove that it adds up.")


@group.command("verify")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@one_line_refusals
def verify(as_json: bool) -> None:
    """Check every rule of the ledger over all of it; exit code 1 where one fails."""
    settings: Settings = current_app.extensions["settings"]
    report = prove_and_keep(settings.instance_dir / HEADS_FILE, "command")
    click.echo(json.dumps(_document(report), indent=2) if as_json else "\n".join(report.lines()))
    if not report.passed:
        raise SystemExit(1)


def _document(report: ProofReport) -> dict[str, object]:
    return {
        "passed": report.passed,
        "lines": report.line_count,
        "seconds": round(report.seconds, 3),
        "accounts_failed": sorted(report.account_ids),
        "checks": [dataclasses.asdict(check) | {"passed": check.passed} for check in report.checks],
    }

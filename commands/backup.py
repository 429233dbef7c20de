"""``flask --app app backup FILE`` and ``restore FILE``."""

from pathlib import Path

import click
from flask import current_app

from commands.refusals import one_line_refusals
from config import Settings
from services.ledger.proof import HEADS_FILE
from services.operations.backup import write_backup
from services.operations.instance_lock import instance_lock
from services.operations.restore import restore_backup


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@one_line_refusals
def backup(file: Path) -> None:
    """Write a whole backup of the running database to FILE, readable by its owner alone."""
    click.echo(f"Wrote {write_backup(file)}")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@one_line_refusals
def restore(file: Path) -> None:
    """Put a backup in the place of the database; refused while an instance runs."""
    settings: Settings = current_app.extensions["settings"]
    assert settings.backup_dir is not None
    with instance_lock(settings.instance_dir):
        restored = restore_backup(file, settings.backup_dir, settings.instance_dir / HEADS_FILE)
    click.echo(f"Restored {file}")
    if restored.replaced is not None:
        click.echo(f"The replaced database is kept as {restored.replaced}")
    click.echo("Jobs that take money are paused until a reconciliation with Stripe has run.")
    for warning in restored.warnings:
        click.echo(f"Warning: {warning}", err=True)

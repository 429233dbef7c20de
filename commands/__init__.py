"""The command line: ``flask --app app …``. Each file is a group; routes of the shell, so to speak."""

from flask import Flask

from commands import backup, jobs, ledger


def register(app: Flask) -> None:
    """Put every command group on the app."""
    app.cli.add_command(jobs.group)
    app.cli.add_command(ledger.group)
    app.cli.add_command(backup.backup)
    app.cli.add_command(backup.restore)

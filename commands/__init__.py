"""The command line: ``flask --app app …``. Each file is a group; routes of the shell, so to speak."""

from flask import Flask

from commands import (
    accounts,
    backup,
    catalog,
    demo,
    doctor,
    events,
    export,
    jobs,
    keys,
    ledger,
    stripe,
    users,
    webhooks,
)


def register(app: Flask) -> None:
    """Put every command group on the app."""
    app.cli.add_command(accounts.accounts)
    app.cli.add_command(keys.keys)
    app.cli.add_command(users.group)
    app.cli.add_command(jobs.group)
    app.cli.add_command(ledger.group)
    app.cli.add_command(backup.backup)
    app.cli.add_command(backup.restore)
    app.cli.add_command(catalog.group)
    app.cli.add_command(stripe.group)
    app.cli.add_command(demo.group)
    app.cli.add_command(export.group)
    app.cli.add_command(doctor.doctor)
    app.cli.add_command(events.events)
    app.cli.add_command(events.endpoints)
    app.cli.add_command(webhooks.group)

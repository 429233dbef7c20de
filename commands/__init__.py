"""The command line: ``flask --app app …``. Each file is a group; routes of the shell, so to speak."""

from flask import Flask


def register(app: Flask) -> None:
    """Put every command group on the app."""

"""Routes: parse, authorise, call one operation, answer."""

from flask import Flask

from blueprints import api


def register(app: Flask) -> None:
    """Put every blueprint on the app."""
    api.register(app)

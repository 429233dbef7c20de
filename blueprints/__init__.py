"""Routes: parse, authorise, call one operation, answer."""

from flask import Flask


def register(app: Flask) -> None:
    """Put every blueprint on the app."""

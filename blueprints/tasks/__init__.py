"""Trying priced work out, as the team's own product would run it."""

from blueprints.tasks.routes import blueprint

__all__ = ["blueprint"]

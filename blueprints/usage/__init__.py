"""The history of credits."""

from blueprints.usage.routes import blueprint

__all__ = ["blueprint"]

"""The page a customer comes home to."""

from blueprints.overview.routes import blueprint

__all__ = ["blueprint"]

"""Who belongs to an account."""

from blueprints.members.routes import blueprint

__all__ = ["blueprint"]

"""The API keys that an account's owners make themselves."""

from blueprints.keys.routes import blueprint

__all__ = ["blueprint"]

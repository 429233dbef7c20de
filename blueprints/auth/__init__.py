"""Signing in and out, one-time links, one's own profile."""

from blueprints.auth import links, profile, routes, second_step, sso
from blueprints.auth.blueprint import blueprint

__all__ = ["blueprint", "links", "profile", "routes", "second_step", "sso"]

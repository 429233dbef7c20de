"""Payments and credits to buy."""

from blueprints.billing.routes import blueprint

__all__ = ["blueprint"]

"""Plans on offer, for whoever comes."""

from blueprints.pricing.routes import blueprint

__all__ = ["blueprint"]

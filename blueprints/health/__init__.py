"""What watches over an instance: /healthz, /readyz, /metrics."""

from blueprints.health.routes import blueprint

__all__ = ["blueprint"]

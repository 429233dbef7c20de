"""Where Stripe tells what happened."""

from blueprints.webhooks.routes import webhooks

__all__ = ["webhooks"]

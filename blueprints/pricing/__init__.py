"""The pricing page."""

"""process-inbox: events that were not processed when they came, or failed, are tried again."""

from flask import Flask

from services.billing.inbox import process_due


def run(app: Flask) -> str:
    """Process every event that is due."""
    counts = process_due(app.extensions["payments"])
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "nothing was due"

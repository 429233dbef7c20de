"""release-holds: holds whose time is over give back what they reserved."""

from flask import Flask

from services.ledger.expiry_sweep import sweep_due


def run(app: Flask) -> str:
    """Sweep the pages on which a hold has timed out."""
    swept = sweep_due(holds_only=True)
    return f"holds on {swept.pages} pages ended"

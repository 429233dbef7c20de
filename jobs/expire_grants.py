"""expire-grants: credits whose time is over are written off."""

from flask import Flask

from services.ledger.expiry_sweep import sweep_due


def run(app: Flask) -> str:
    """Sweep all that is due."""
    swept = sweep_due()
    return f"{swept.lots} lots on {swept.pages} pages expired"

"""retry-charges: charges that were refused, or whose outcome nobody knows, are tried again when due."""

from flask import Flask

from services.overage.charging import charge_due


def run(app: Flask) -> str:
    """Try each charge that is due for another try."""
    counts = charge_due(app.extensions["payments"], "job:retry-charges")
    return (
        ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in sorted(counts.items()))
        or "none due"
    )

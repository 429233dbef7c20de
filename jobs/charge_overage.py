"""charge-overage: what was bought in a cycle that is over is charged; demands that are due are tried."""

from flask import Flask

from services.overage.charges import make_due_charges
from services.overage.charging import charge_due


def run(app: Flask) -> str:
    """Make the charges that are due, and try each that is due for a try."""
    made = make_due_charges()
    return _told(made, charge_due(app.extensions["payments"]))


def _told(made: int, counts: dict[str, int]) -> str:
    ended = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in sorted(counts.items()))
    return f"{made} charges made; {ended or 'none tried'}"

"""process-inbox: events that were not processed when they came, or failed, are tried again.

So are refunds that the payment provider has not answered.
"""

from flask import Flask

from services.billing.inbox import process_due
from services.billing.refunding import finish_refunds


def run(app: Flask) -> str:
    """Process every event that is due, and ask again for refunds that were not answered."""
    counts = process_due(app.extensions["payments"])
    if refunds := finish_refunds(app.extensions["payments"]):
        counts["refunded"] = refunds
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "nothing was due"

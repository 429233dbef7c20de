"""abandon-orders: orders past their time are closed, or fulfilled where they turn out to be paid."""

from flask import Flask

from services.billing.abandonment import expire_abandoned_orders


def run(app: Flask) -> str:
    """Ask the provider about each and act on what it says."""
    done = expire_abandoned_orders(app.extensions["payments"])
    return (
        f"{done.closed} orders closed, {done.fulfilled} fulfilled, {done.waiting} still waiting, "
        f"{done.failed} failed"
    )

"""monthly-grants: each month's credits of plans that were given without Stripe."""

from flask import Flask

from services.billing.subscriptions import grant_monthly_credits


def run(app: Flask) -> str:
    """Grant what is due and not granted yet."""
    return f"{grant_monthly_credits()} months granted"

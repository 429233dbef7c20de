"""monthly-grants: each month's credits of annual plans and of plans given without Stripe; changes of rhythm."""

from flask import Flask

from services.billing.plan_successors import begin_changed_subscriptions
from services.billing.subscriptions import grant_monthly_credits


def run(app: Flask) -> str:
    """Grant what is due and not granted yet; begin what follows a subscription that ended for a change."""
    begun = begin_changed_subscriptions(app.extensions["payments"])
    return f"{grant_monthly_credits()} months granted, {begun} subscriptions begun"

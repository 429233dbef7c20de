"""Payments, buying and funding, the way to Checkout and back."""

from blueprints.billing import exports, overage, receipts, routes, spending, subscription, wallet  # noqa: F401  (they put their routes on the blueprint)
from blueprints.billing.blueprint import blueprint

__all__ = ["blueprint"]

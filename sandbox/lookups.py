"""Objects that a call names and that must be fit for it."""

from sandbox.problems import missing
from sandbox.store import Object, Store


def living_customer(store: Store, customer_id: str, param: str = "customer") -> Object:
    """A customer that is not deleted. Raises StripeProblem."""
    customer = store.get("customer", customer_id, param)
    if customer.get("deleted"):
        raise missing("customer", customer_id, param)
    return customer

"""The operator's console: accounts, what they have, their keys; the keys of the instance."""

from blueprints.operator import account, keys, mail, payments, routes, viewing, watching, working  # noqa: F401  (they put their routes on the blueprint)
from blueprints.operator.blueprint import blueprint

__all__ = ["blueprint"]

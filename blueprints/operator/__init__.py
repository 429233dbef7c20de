"""The operator's console: accounts, what they have, their keys; the keys of the instance."""

from blueprints.operator import (  # noqa: F401  (they put their routes on the blueprint)
    account,
    keys,
    mail,
    payments,
    routes,
    time_travel,
    viewing,
    watching,
    working,
)
from blueprints.operator.blueprint import blueprint

__all__ = ["blueprint"]

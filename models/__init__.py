"""The tables. Constraints live here: CHECK, UNIQUE, foreign keys RESTRICT, append-only triggers."""

from models import accounts, audit, billing, catalog, inbox, jobs, ledger, notices, outgoing, usage
from models.base import Base

__all__ = [
    "Base",
    "accounts",
    "audit",
    "billing",
    "catalog",
    "inbox",
    "jobs",
    "ledger",
    "notices",
    "outgoing",
    "usage",
]

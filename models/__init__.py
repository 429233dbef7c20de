"""The tables. Constraints live here: CHECK, UNIQUE, foreign keys RESTRICT, append-only triggers."""

from models import accounts, agencies, audit, billing, catalog, inbox, jobs, ledger, notices, overage, usage
from models.base import Base

__all__ = [
    "Base", "accounts", "agencies", "audit", "billing", "catalog", "inbox", "jobs", "ledger", "notices", "overage",
    "usage",
]  # fmt: skip

"""A client of Coffer's API for Python programs. Standard library only."""

from coffer_client.answers import Balance, Count, Deduction, Estimate, Refund
from coffer_client.client import Coffer, Hold
from coffer_client.errors import (
    AccountFrozen,
    AccountPastDue,
    CofferError,
    Conflict,
    Forbidden,
    HoldNotOpen,
    IdempotencyKeyReused,
    InsufficientCredits,
    InvalidRequest,
    LimitReached,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from coffer_client.webhooks import BadSignature, verify_webhook

__all__ = [
    "AccountFrozen",
    "AccountPastDue",
    "BadSignature",
    "Balance",
    "Coffer",
    "CofferError",
    "Conflict",
    "Count",
    "Deduction",
    "Estimate",
    "Forbidden",
    "Hold",
    "HoldNotOpen",
    "IdempotencyKeyReused",
    "InsufficientCredits",
    "InvalidRequest",
    "LimitReached",
    "NotFound",
    "RateLimited",
    "Refund",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "verify_webhook",
]

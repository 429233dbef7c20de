"""What each error code means to whoever gets it, for the description and the docs page."""

from dataclasses import dataclass

import errors
from errors import CofferError

MEANINGS = {
    "malformed_json": "The body is no JSON object: broken syntax, a member named twice, more than 20 levels.",
    "bad_request": "The request itself is broken, below what a call looks at.",
    "unauthorized": "No key, an unknown or revoked one; or a browser's call without a session or CSRF token.",
    "insufficient_credits": "Less is available than asked for. Members: required, available, credit_type.",
    "limit_reached": "The plan's limit on a kind of usage is reached and no credits cover the rest.",
    "spending_cap_reached": (
        "The cap that the customer has set for the month leaves less than asked for. "
        "Members: required, left, cap, credit_type, resets_at."
    ),
    "overage_limit_reached": "The account would owe more than its limit.",
    "payment_declined": "The card was declined. Nothing was charged and nothing was granted.",
    "forbidden": "The key lacks the scope, or the call is for platform keys, or not for browsers.",
    "account_frozen": "The account takes no new spends, holds or purchases; or it is parked and only read.",
    "account_past_due": "A payment of the account is overdue; this waits until it is paid.",
    "subscription_required": "The package is for accounts with an active subscription.",
    "not_found": "There is no such thing, or it belongs to another account: the answer is the same.",
    "method_not_allowed": "The path exists, the method does not. The Allow header names those that do.",
    "conflict": "The present state forbids it: a name is taken, more than was spent is to be refunded "
    "(member refundable), or the same request is still at work (Retry-After).",
    "idempotency_key_reused": "The key was used for another request. Take a fresh key for each operation.",
    "price_changed": "A price is not what the caller saw. Nothing was bought.",
    "hold_not_open": "The hold was captured, released or timed out. Member: hold_status.",
    "payload_too_large": "The body is larger than 1 MB.",
    "unsupported_media_type": "Send the body as application/json.",
    "invalid_request": "A field is missing or wrong. Member: errors, a list of field and message.",
    "balance_limit": "An amount or balance would pass 10^15 of the credit type's smallest unit.",
    "rate_limited": "Too many calls with this key. Wait as many seconds as Retry-After says.",
    "payment_provider_unavailable": "Stripe does not answer. The same key continues the same order later.",
    "storage_unavailable": "The database does not take it now. Nothing was done; try again later.",
}


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code of the API."""

    code: str
    status: int
    title: str
    meaning: str


def error_codes() -> list[ErrorCode]:
    """Every code, by status."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CofferError)
    ]
    found = [
        ErrorCode(kind.code, kind.status, kind.title, MEANINGS[kind.code])
        for kind in kinds
        if kind is not CofferError
    ]
    return sorted(found, key=lambda each: each.status)

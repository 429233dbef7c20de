"""Everything that can go wrong and is not a bug: one class per error code of the API.

Each class carries its ``code``, HTTP ``status`` and ``title``; ``members`` are the typed extra members of
the problem document (RFC 9457). One handler renders them as a page, a form error or problem+json.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """One field that was refused, and why, in words that its sender understands."""

    field: str
    message: str


class CofferError(Exception):
    """Base of every expected error."""

    code = "error"
    status = 500
    title = "Error"

    def __init__(self, detail: str = "", *, retry_after_seconds: int | None = None, **members: Any):
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.members: dict[str, Any] = members
        self.retry_after_seconds = retry_after_seconds

    def problem(self) -> dict[str, Any]:
        """The RFC 9457 document."""
        return {
            "type": f"/api/docs#{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.members,
        }


class MalformedJson(CofferError):
    code, status, title = "malformed_json", 400, "The body is not the JSON that is expected"


class BadRequest(CofferError):
    code, status, title = "bad_request", 400, "The request could not be understood"


class Unauthorized(CofferError):
    code, status, title = "unauthorized", 401, "No valid credentials"


class InsufficientCredits(CofferError):
    """Members: ``required``, ``available`` (numbers in the credit type's own scale), ``credit_type``."""

    code, status, title = "insufficient_credits", 402, "Not enough credits"


class LimitReached(CofferError):
    code, status, title = "limit_reached", 402, "The plan's limit is reached"


class SpendingCapReached(CofferError):
    """Members: ``required``, ``left``, ``cap`` (numbers in the type's own scale), ``credit_type``, ``resets_at``."""

    code, status, title = "spending_cap_reached", 402, "The spending cap is reached"


class OverageLimitReached(CofferError):
    code, status, title = "overage_limit_reached", 402, "The limit on what may be owed is reached"


class PaymentDeclined(CofferError):
    code, status, title = "payment_declined", 402, "The payment was declined"


class Forbidden(CofferError):
    code, status, title = "forbidden", 403, "Not allowed"


class AccountFrozen(CofferError):
    code, status, title = "account_frozen", 403, "The account is frozen"


class AccountPastDue(CofferError):
    code, status, title = "account_past_due", 403, "The account is past due"


class SubscriptionRequired(CofferError):
    code, status, title = "subscription_required", 403, "This needs an active subscription"


class NotFound(CofferError):
    code, status, title = "not_found", 404, "Not found"


class MethodNotAllowed(CofferError):
    code, status, title = "method_not_allowed", 405, "This method is not allowed here"


class Conflict(CofferError):
    code, status, title = "conflict", 409, "In conflict with the present state"


class IdempotencyKeyReused(CofferError):
    code, status, title = "idempotency_key_reused", 409, "This idempotency key was used for another request"


class PriceChanged(CofferError):
    code, status, title = "price_changed", 409, "A price has changed"


class HoldNotOpen(CofferError):
    code, status, title = "hold_not_open", 409, "The hold is not open"


class PayloadTooLarge(CofferError):
    code, status, title = "payload_too_large", 413, "The body is too large"


class UnsupportedMediaType(CofferError):
    code, status, title = "unsupported_media_type", 415, "The body must be application/json"


class InvalidRequest(CofferError):
    """Members: ``errors``, a list of ``{field, message}``."""

    code, status, title = "invalid_request", 422, "The request is not valid"

    def __init__(self, *errors: FieldError, detail: str = ""):
        self.errors = list(errors)
        listed = [{"field": error.field, "message": error.message} for error in errors]
        super().__init__(detail or "; ".join(f"{e.field}: {e.message}" for e in errors), errors=listed)

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidRequest":
        """The usual case: one field."""
        return cls(FieldError(field, message))


class BalanceLimit(CofferError):
    code, status, title = "balance_limit", 422, "A balance would grow beyond what Coffer keeps"


class RateLimited(CofferError):
    code, status, title = "rate_limited", 429, "Too many requests"


class PaymentProviderUnavailable(CofferError):
    code, status, title = "payment_provider_unavailable", 503, "The payment provider does not answer"


class StorageUnavailable(CofferError):
    code, status, title = "storage_unavailable", 503, "The database does not answer"

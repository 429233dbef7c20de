"""What a call may raise: one class per kind of refusal, made from Coffer's problem documents."""

from typing import Any


class CofferError(Exception):
    """Base of every error; of this class itself where the code has no class of its own.

    ``status`` is None where no answer came. ``problem`` is the whole document, with members such as
    ``required`` and ``available``. ``retry_after_seconds`` is what the last answer asked for, if anything.
    """

    def __init__(
        self,
        code: str,
        status: int | None,
        detail: str,
        problem: dict[str, Any] | None = None,
        retry_after_seconds: float | None = None,
    ):
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.status = status
        self.detail = detail
        self.problem = problem or {}
        self.retry_after_seconds = retry_after_seconds


class Unreachable(CofferError):
    """No answer came. The call may have had its effect; the same idempotency key makes repeating it safe."""


class Unauthorized(CofferError):
    """The key is missing, unknown or revoked."""


class Forbidden(CofferError):
    """The key may not do this."""


class AccountFrozen(Forbidden):
    """The account takes no new spends."""


class AccountPastDue(Forbidden):
    """A payment of the account is overdue."""


class InsufficientCredits(CofferError):
    """Less is available than asked for: ``problem["required"]``, ``problem["available"]``."""


class LimitReached(CofferError):
    """The plan's limit is reached: ``problem["used"]``, ``problem["limit"]``."""


class NotFound(CofferError):
    """There is no such thing for this key."""


class InvalidRequest(CofferError):
    """A field is missing or wrong: ``problem["errors"]`` names it."""


class Conflict(CofferError):
    """The present state forbids it."""


class HoldNotOpen(Conflict):
    """The hold was captured, released or timed out."""


class IdempotencyKeyReused(Conflict):
    """The idempotency key was used for another request."""


class RateLimited(CofferError):
    """Too many calls with this key, and still so after the last attempt."""


class Unavailable(CofferError):
    """Coffer cannot do it now, and still could not at the last attempt."""


BY_CODE: dict[str, type[CofferError]] = {
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "account_frozen": AccountFrozen,
    "account_past_due": AccountPastDue,
    "insufficient_credits": InsufficientCredits,
    "limit_reached": LimitReached,
    "not_found": NotFound,
    "malformed_json": InvalidRequest,
    "bad_request": InvalidRequest,
    "invalid_request": InvalidRequest,
    "balance_limit": InvalidRequest,
    "conflict": Conflict,
    "hold_not_open": HoldNotOpen,
    "idempotency_key_reused": IdempotencyKeyReused,
    "rate_limited": RateLimited,
    "payment_provider_unavailable": Unavailable,
    "storage_unavailable": Unavailable,
}
BY_STATUS: dict[int, type[CofferError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: InvalidRequest,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(status: int, problem: Any, retry_after_seconds: float | None) -> CofferError:
    """The error of a refusing answer; by its status where something in front of Coffer gave it."""
    document = problem if isinstance(problem, dict) else {}
    code = str(document.get("code") or "http_error")
    kind = BY_CODE.get(code) or BY_STATUS.get(status, CofferError)
    detail = str(document.get("detail") or f"the answer is HTTP status {status}")
    return kind(code, status, detail, document, retry_after_seconds)

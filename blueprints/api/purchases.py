"""Calls about money: beginning a purchase by Checkout, giving a payment back."""

import hashlib
import secrets
from typing import Any

from flask import Response, current_app

from blueprints.api import answers, schemas
from blueprints.api.calls import Asked, call
from errors import (
    AccountFrozen,
    Conflict,
    InvalidRequest,
    NotFound,
    PaymentProviderUnavailable,
    SubscriptionRequired,
)
from services.accounts.callers import require_role
from services.billing.purchases import start_purchase
from services.billing.refunding import NewRefund, refund_payment
from services.idempotency import Key
from services.money import to_number


@call(
    "POST", "/api/credits/purchase", "Begin to buy a package", scope="manage", person_may=True,
    body=schemas.PurchaseBody, answers={201: answers.PurchaseStarted},
    refusals=(NotFound, AccountFrozen, SubscriptionRequired, PaymentProviderUnavailable),
)  # fmt: skip
def purchase(asked: Asked) -> Response:
    account_id, body = asked.account_id, asked.body
    require_role(asked.caller, account_id, "member")
    if (body.package is None) == (body.price_id is None):
        raise InvalidRequest.of("package", "is required, or price_id in its place")
    key = asked.key(account_id)

    def operation() -> tuple[int, dict[str, Any]]:
        started = start_purchase(
            account_id, body.package or body.price_id, request_key=request_key(key),
            actor=asked.caller.actor, payments=current_app.extensions["payments"], email=body.email,
            success_url=body.success_url, cancel_url=body.cancel_url,
        )  # fmt: skip
        credits = to_number(started.credits, started.scale)
        return 201, {"session_id": started.session_id, "url": started.url, "credits": credits}

    return asked.once_with_calls_outside(key, operation)


@call(
    "POST", "/api/user/payments/<string:payment_id>/refund", "Give a payment, or a part of it, back",
    scope="manage", platform_only=True, body=schemas.PaymentRefundBody, body_may_be_empty=True,
    answers={200: answers.PaymentRefunded},
    refusals=(NotFound, Conflict, AccountFrozen, PaymentProviderUnavailable),
)  # fmt: skip
def refund_of_payment(asked: Asked, payment_id: str) -> Response:
    account_id, body = asked.account_id, asked.body
    key = asked.key(account_id)

    def operation() -> tuple[int, dict[str, Any]]:
        done = refund_payment(
            NewRefund(
                account_id=account_id, payment_id=payment_id, amount_cents=body.amount_cents,
                request_key=request_key(key), actor=asked.caller.actor, reason=body.reason or "",
            ),
            current_app.extensions["payments"],
        )  # fmt: skip
        return 200, {
            "refund_id": done.refund_id,
            "amount_cents": done.refunded_cents,
            "refunded_cents": done.payment_refunded_cents,
            "status": done.payment_status,
            "currency": done.currency,
        }

    return asked.once_with_calls_outside(key, operation)


def request_key(key: Key | None) -> str:
    """What makes the order one: the caller's key, apart from the tokens of the pages' forms."""
    if key is None:
        return f"api:{secrets.token_hex(16)}"
    return f"api:{hashlib.sha256(key.key.encode()).hexdigest()}"

"""Calls that set credits aside for work in flight."""

from typing import Any

from flask import Response

from blueprints.api import answers, schemas
from blueprints.api.calls import Asked, call
from errors import AccountFrozen, BalanceLimit, HoldNotOpen, InsufficientCredits, NotFound, SpendingCapReached
from models.catalog import DEFAULT_CREDIT_TYPE
from services.clock import iso
from services.ledger.holds import HoldRequest, capture_hold, create_hold, hold_scale, release_hold
from services.ledger.scales import scale_of
from services.money import to_number, to_units


@call(
    "POST", "/api/credits/holds", "Set credits aside", scope="spend",
    body=schemas.HoldBody, answers={201: answers.HoldOpened},
    refusals=(InsufficientCredits, SpendingCapReached, AccountFrozen, NotFound, BalanceLimit),
)  # fmt: skip
def hold(asked: Asked) -> Response:
    account_id, body = asked.account_id, asked.body
    credit_type = body.credit_type or DEFAULT_CREDIT_TYPE
    wanted = HoldRequest(
        account_id=account_id, credit_type=credit_type, amount=to_units(body.amount, scale_of(credit_type)),
        actor=asked.caller.actor, expires_in=body.expires_in, task_id=body.task_id,
        description=body.description or "",
    )  # fmt: skip

    def operation() -> tuple[int, dict[str, Any]]:
        receipt = create_hold(wanted)
        return 201, {
            "id": receipt.hold_id,
            "status": "open",
            "amount": to_number(receipt.amount, receipt.scale),
            "available": to_number(receipt.available, receipt.scale),
            "expires_at": iso(receipt.expires_at),
        }

    return asked.once(account_id, operation)


@call(
    "POST", "/api/credits/holds/<rowid:hold_id>/capture", "Spend a hold, all or part of it", scope="spend",
    body=schemas.CaptureBody, answers={200: answers.HoldCaptured}, body_may_be_empty=True,
    refusals=(NotFound, HoldNotOpen, AccountFrozen, BalanceLimit),
)  # fmt: skip
def capture(asked: Asked, hold_id: int) -> Response:
    account_id, amount = asked.account_id, asked.body.amount

    def operation() -> tuple[int, dict[str, Any]]:
        units = None if amount is None else to_units(amount, hold_scale(account_id, hold_id))
        receipt = capture_hold(account_id, hold_id, units, asked.caller.actor)
        return 200, {
            "id": receipt.hold_id,
            "status": "captured",
            "captured": to_number(receipt.captured, receipt.scale),
            "released": to_number(receipt.released, receipt.scale),
            "transaction_id": receipt.transaction_id,
            "balance_after": to_number(receipt.balance_after, receipt.scale),
        }

    return asked.once(account_id, operation)


@call(
    "POST", "/api/credits/holds/<rowid:hold_id>/release", "Give a hold back", scope="spend",
    body=schemas.OnAccount, answers={200: answers.HoldReleased}, body_may_be_empty=True,
    refusals=(NotFound, HoldNotOpen, AccountFrozen),
)  # fmt: skip
def release(asked: Asked, hold_id: int) -> Response:
    account_id = asked.account_id

    def operation() -> tuple[int, dict[str, Any]]:
        release_hold(account_id, hold_id)
        return 200, {"id": hold_id, "status": "released"}

    return asked.once(account_id, operation)

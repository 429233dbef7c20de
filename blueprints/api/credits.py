"""Calls that read and spend credits: balance, grants, check, deduct, refund, grant, transfer."""

import hashlib
import json
from typing import Any

from flask import Response, request

from blueprints.api import answers, schemas
from blueprints.api.amounts import decimal_text, formatted, priced_units
from blueprints.api.calls import JSON, Asked, answered, call
from errors import (
    AccountFrozen,
    BalanceLimit,
    Conflict,
    InsufficientCredits,
    InvalidRequest,
    NotFound,
    SpendingCapReached,
)
from models.catalog import DEFAULT_CREDIT_TYPE
from services.accounts.callers import account_for, slug_of
from services.clock import iso
from services.ledger.balances import Position, lots_of, positions, subscription_expires_at
from services.ledger.debits import Spend, SpendReceipt, adjust_down, spend_credits
from services.ledger.grants import Incoming, grant_credits
from services.ledger.reversals import refund_spend
from services.ledger.scales import scale_of, scale_of_line
from services.ledger.spending_caps import SpendingCap, spending_caps
from services.ledger.transfers import transfer_credits
from services.money import to_number, to_units

MOST_METADATA_BYTES = 8192


@call(
    "GET", "/api/credits/balance", "The balance of an account", scope="read",
    query=schemas.OnCreditType, answers={200: answers.Balance}, refusals=(NotFound,),
)  # fmt: skip
def balance(asked: Asked) -> Response:
    account_id = asked.account_id
    found = positions(account_id)
    position = _position(found, asked.query.credit_type)
    expires_at = subscription_expires_at(account_id, position)
    cap = _cap_of(account_id, position)
    body = json.dumps(
        {
            "account": slug_of(account_id),
            **_balance(position),
            "total_purchased": to_number(position.total_purchased, position.scale),
            "total_used": to_number(position.total_used, position.scale),
            "subscription_credits": to_number(position.subscription, position.scale),
            "permanent_credits": to_number(position.permanent, position.scale),
            "subscription_expire_at": iso(expires_at) if expires_at else None,
            "spending_cap": _spending_cap(cap) if cap else None,
            "balances": [_balance(each) for each in found],
        }
    )
    etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    asked_for = request.headers.get("If-None-Match")
    if asked_for is not None and (asked_for == etag or request.if_none_match.contains_weak(etag[1:-1])):
        return Response(status=304, headers=headers)
    return Response(body, 200, headers, content_type=JSON)


@call(
    "GET", "/api/credits/grants", "The lots of an account, in the order they are spent", scope="read",
    query=schemas.GrantsQuery, answers={200: answers.Grants}, refusals=(NotFound,),
)  # fmt: skip
def grants(asked: Asked) -> Response:
    lots = lots_of(asked.account_id, _type_of(asked.query), open_only=asked.query.open)
    return answered(
        {
            "grants": [
                {
                    "id": lot.grant_id,
                    "type": lot.credit_type,
                    "source": lot.source,
                    "amount": to_number(lot.amount, lot.scale),
                    "remaining": to_number(lot.remaining, lot.scale),
                    "held": to_number(lot.held, lot.scale),
                    "priority": lot.priority,
                    "expires_at": iso(lot.expires_at) if lot.expires_at else None,
                    "created_at": iso(lot.created_at),
                }
                for lot in lots
            ]
        }
    )


@call(
    "POST", "/api/credits/check", "Whether an account could spend so much now", scope="read",
    body=schemas.CheckBody, answers={200: answers.Checked}, refusals=(NotFound, BalanceLimit), writes=False,
)  # fmt: skip
def check(asked: Asked) -> Response:
    account_id, body = asked.account_id, asked.body

    def operation() -> tuple[int, dict[str, Any]]:
        position = _position(positions(account_id), body.credit_type)
        units = to_units(body.amount, position.scale)
        cap = _cap_of(account_id, position)
        return 200, {
            "allowed": units <= position.available and (cap is None or units <= cap.left),
            "required": to_number(units, position.scale),
            "available": to_number(position.available, position.scale),
        }

    return asked.once(account_id, operation)


@call(
    "POST", "/api/credits/deduct", "Spend credits", scope="spend",
    body=schemas.DeductBody, answers={200: answers.Deducted},
    refusals=(InsufficientCredits, SpendingCapReached, AccountFrozen, NotFound, BalanceLimit),
)  # fmt: skip
def deduct(asked: Asked) -> Response:
    account_id, body = asked.account_id, asked.body
    credit_type = _type_of(body)
    units = priced_units(body.amount, body.quantity, body.unit_cost, scale_of(credit_type))
    spend = Spend(
        account_id=account_id, credit_type=credit_type, amount=units, actor=asked.caller.actor,
        task_id=body.task_id, description=body.description or "", quantity=decimal_text(body.quantity),
        unit_cost=decimal_text(body.unit_cost), details=_details(body),
    )  # fmt: skip
    return asked.once(account_id, lambda: (200, _deducted(spend_credits(spend))))


@call(
    "POST", "/api/credits/refund", "Give a spend back to the lots that paid", scope="manage",
    platform_scope="spend", body=schemas.RefundBody, answers={200: answers.Refunded},
    refusals=(NotFound, Conflict, AccountFrozen, BalanceLimit),
)  # fmt: skip
def refund(asked: Asked) -> Response:
    account_id, body = asked.account_id, asked.body

    def operation() -> tuple[int, dict[str, Any]]:
        amount = body.amount
        units = None if amount is None else to_units(amount, scale_of_line(account_id, body.transaction_id))
        receipt = refund_spend(
            account_id, body.transaction_id, units, asked.caller.actor, body.description or ""
        )
        return 200, {
            "transaction_id": receipt.transaction_id,
            "refunded": to_number(receipt.refunded, receipt.scale),
            "balance_after": to_number(receipt.balance_after, receipt.scale),
            "allocations": [
                {"grant_id": grant_id, "amount": to_number(units, receipt.scale)}
                for grant_id, units in receipt.allocations
            ],
        }

    return asked.once(account_id, operation)


@call(
    "POST", "/api/credits/grant", "Give credits, or correct a balance", scope="manage",
    body=schemas.GrantBody, answers={201: answers.Granted},
    refusals=(InsufficientCredits, AccountFrozen, NotFound, BalanceLimit),
)  # fmt: skip
def grant(asked: Asked) -> Response:
    account_id, body = asked.account_id, asked.body
    credit_type = _type_of(body)
    scale = scale_of(credit_type)
    units = to_units(body.amount, scale, negative=body.source == "adjustment")
    if units > 0:
        incoming = Incoming(
            account_id=account_id, credit_type=credit_type, amount=units, source=body.source,
            actor=asked.caller.actor, expires_at=body.expires_at, priority=body.priority,
            description=body.description or "",
        )  # fmt: skip
        return asked.once(account_id, lambda: (201, _granted(incoming)))
    for field in ("expires_at", "priority"):
        if getattr(body, field) is not None:
            raise InvalidRequest.of(field, "has no meaning where credits are taken away")
    spend = Spend(
        account_id=account_id, credit_type=credit_type, amount=-units, actor=asked.caller.actor,
        description=body.description or "",
    )  # fmt: skip
    return asked.once(account_id, lambda: (201, _adjusted(spend)))


@call(
    "POST", "/api/credits/transfer", "Move permanent credits to another account", scope="manage",
    body=schemas.TransferBody, answers={200: answers.Transferred},
    refusals=(InsufficientCredits, AccountFrozen, NotFound, BalanceLimit),
)  # fmt: skip
def transfer(asked: Asked) -> Response:
    body, credit_type = asked.body, _type_of(asked.body)
    giver = account_for(asked.caller, body.from_account, "from")
    taker = account_for(asked.caller, body.to_account, "to")
    units = to_units(body.amount, scale_of(credit_type))

    def operation() -> tuple[int, dict[str, Any]]:
        receipt = transfer_credits(
            giver, taker, credit_type, units, asked.caller.actor, body.description or ""
        )
        return 200, {
            "transaction_id": receipt.transaction_id,
            "from_balance": to_number(receipt.from_balance, receipt.scale),
            "to_balance": to_number(receipt.to_balance, receipt.scale),
        }

    return asked.once(giver, operation)


def _type_of(asked: Any) -> str:
    return asked.credit_type or DEFAULT_CREDIT_TYPE


def _position(found: list[Position], credit_type: str | None) -> Position:
    wanted = credit_type or DEFAULT_CREDIT_TYPE
    for position in found:
        if position.credit_type == wanted:
            return position
    raise InvalidRequest.of("credit_type", f"there is no credit type {wanted!r}")


def _balance(position: Position) -> dict[str, Any]:
    return {
        "type": position.credit_type,
        "balance": to_number(position.balance, position.scale),
        "held": to_number(position.held, position.scale),
        "available": to_number(position.available, position.scale),
        "formatted": formatted(position.balance, position),
    }


def _cap_of(account_id: int, position: Position) -> SpendingCap | None:
    caps = spending_caps(account_id)
    return next((cap for cap in caps if cap.credit_type_id == position.credit_type_id), None)


def _spending_cap(cap: SpendingCap) -> dict[str, Any]:
    return {
        "cap": to_number(cap.cap, cap.scale),
        "used": to_number(cap.used, cap.scale),
        "reserved": to_number(cap.reserved, cap.scale),
        "left": to_number(cap.left, cap.scale),
        "resets_at": iso(cap.resets_at),
    }


def _details(body: schemas.DeductBody) -> str | None:
    """The caller's metadata as JSON text. Raises InvalidRequest where it is large or no JSON can say it."""
    metadata = dict(body.metadata or {})
    for field in ("message_id", "campaign_id"):
        if getattr(body, field) is not None:
            metadata[field] = getattr(body, field)
    if not metadata:
        return None
    try:
        text = json.dumps(metadata, default=float, allow_nan=False, ensure_ascii=False)
    except (ValueError, OverflowError):
        raise InvalidRequest.of("metadata", "holds a number out of range") from None
    if len(text.encode()) > MOST_METADATA_BYTES:
        raise InvalidRequest.of("metadata", f"must have at most {MOST_METADATA_BYTES} bytes as JSON")
    return text


def _deducted(receipt: SpendReceipt) -> dict[str, Any]:
    scale = receipt.scale
    return {
        "success": True,
        "transaction_id": receipt.transaction_id,
        "deducted": to_number(receipt.amount, scale),
        "from_subscription": to_number(receipt.from_subscription, scale),
        "from_permanent": to_number(receipt.amount - receipt.from_subscription, scale),
        "balance_before": to_number(receipt.balance_before, scale),
        "balance_after": to_number(receipt.balance_after, scale),
        "allocations": [
            {"grant_id": draw.grant_id, "amount": to_number(draw.amount, scale)} for draw in receipt.draws
        ],
    }


def _granted(incoming: Incoming) -> dict[str, Any]:
    receipt = grant_credits(incoming)
    return {
        "grant_id": receipt.grant_id,
        "transaction_id": receipt.transaction_id,
        "balance_after": to_number(receipt.balance_after, receipt.scale),
    }


def _adjusted(spend: Spend) -> dict[str, Any]:
    receipt = adjust_down(spend)
    return {
        "grant_id": None,
        "transaction_id": receipt.transaction_id,
        "balance_after": to_number(receipt.balance_after, receipt.scale),
    }

"""Calls about credits bought now and paid later."""

from typing import Any

from flask import Response, current_app

from blueprints.api import overage_answers, schemas
from blueprints.api.calls import Asked, answered, call
from blueprints.api.purchases import request_key
from errors import AccountFrozen, AccountPastDue, BalanceLimit, NotFound, OverageLimitReached, PriceChanged
from services.accounts.callers import require_role
from services.clock import iso
from services.ledger.balances import balance_of
from services.money import to_number
from services.overage.purchases import (
    OverageReceipt,
    buy_overage,
    overage_offer,
    overage_owed,
)


@call(
    "GET", "/api/overage/prices", "What a whole credit of each type costs, paid at the end of the cycle",
    scope="read", query=schemas.OnAccount, answers={200: overage_answers.OveragePrices}, refusals=(NotFound,),
)  # fmt: skip
def overage_prices(asked: Asked) -> Response:
    offer, owed = overage_offer(asked.account_id), overage_owed(asked.account_id)
    return answered(
        {
            "quote": offer.quote,
            "currency": offer.currency,
            "prices": [
                {"type": price.code, "name": price.name, "price_cents": price.price_cents} for price in offer.prices
            ],
            "owed_cents": owed.total_cents,
            "limit_cents": owed.limit_cents,
            "left_cents": owed.left_cents,
            "charged_on": iso(owed.next_charge_at),
        }
    )


@call(
    "POST", "/api/overage/purchase", "Buy credits now, paid at the end of the cycle", scope="manage",
    person_may=True, body=schemas.OveragePurchaseBody, answers={201: overage_answers.OveragePurchased},
    refusals=(NotFound, AccountFrozen, AccountPastDue, OverageLimitReached, PriceChanged, BalanceLimit),
)  # fmt: skip
def overage_purchase(asked: Asked) -> Response:
    account_id, body = asked.account_id, asked.body
    require_role(asked.caller, account_id, "member")
    key = asked.key(account_id)

    def operation() -> tuple[int, dict[str, Any]]:
        receipt = buy_overage(
            account_id, body.quantities, body.quote, request_key=request_key(key), actor=asked.caller.actor,
            requires_card=current_app.extensions["settings"].overage_requires_card,
        )  # fmt: skip
        return 201, _bought(account_id, receipt)

    return asked.once(account_id, operation)


def _bought(account_id: int, receipt: OverageReceipt) -> dict[str, Any]:
    balances = [balance_of(account_id, line.code) for line in receipt.lines]
    return {
        "order_id": receipt.order_id,
        "total_cents": receipt.total_cents,
        "currency": receipt.currency,
        "lines": [
            {
                "type": line.code,
                "quantity": line.quantity,
                "credits": to_number(line.credits, line.scale),
                "unit_price_cents": line.unit_price_cents,
                "price_cents": line.price_cents,
            }
            for line in receipt.lines
        ],
        "balances": [
            {"type": line.code, "available": to_number(position.available, line.scale)}
            for line, position in zip(receipt.lines, balances, strict=True)
        ],
        "charged_on": iso(receipt.charged_at),
    }

"""The money wallet: balance, adding funds, what was spent on messages."""

from typing import Any

from flask import Response, current_app

from blueprints.api import answers, schemas
from blueprints.api.amounts import formatted
from blueprints.api.calls import Asked, answered, call
from blueprints.api.history import line_answer, page_answer
from blueprints.api.purchases import request_key
from errors import AccountFrozen, BalanceLimit, Conflict, Forbidden, NotFound, PaymentProviderUnavailable
from services.accounts.callers import require_role, slug_of
from services.billing.funds import Funding, add_funds_by_hand, add_funds_of_intent
from services.billing.purchases import start_funding
from services.catalog.wallets import Wallet, wallet_named, wallet_of
from services.ledger.balances import Position, balance_of
from services.ledger.grants import GrantReceipt
from services.ledger.history import HistoryLine, HistoryQuery
from services.ledger.history import history as read_history
from services.money import to_number, to_units

SMS_SEND = "sms_send"


@call(
    "GET", "/api/billing/balance", "The money wallet of an account", scope="read",
    query=schemas.WalletQuery, answers={200: answers.WalletBalance}, refusals=(NotFound,),
)  # fmt: skip
def wallet_balance(asked: Asked) -> Response:
    account_id = asked.account_id
    wallet = wallet_named(account_id, asked.query.credit_type)
    position = balance_of(account_id, wallet.code)
    return answered(
        {
            "account": slug_of(account_id),
            "type": wallet.code,
            "currency": wallet.currency,
            "balance": to_number(position.balance, position.scale),
            "available": to_number(position.available, position.scale),
            "formatted": formatted(position.available, position),
        }
    )


@call(
    "POST", "/api/billing/add-funds", "Add money to the wallet", scope="manage", person_may=True,
    body=schemas.AddFundsBody, answers={201: answers.Funded},
    refusals=(NotFound, AccountFrozen, Conflict, BalanceLimit, PaymentProviderUnavailable),
)  # fmt: skip
def add_funds(asked: Asked) -> Response:
    account_id, body = asked.account_id, asked.body
    require_role(asked.caller, account_id, "member")
    wallet = wallet_of(account_id)
    funding = Funding(
        account_id=account_id, amount=to_units(body.amount, wallet.scale), actor=asked.caller.actor,
        description=body.description or "",
    )  # fmt: skip
    wallet.cents_of_units(funding.amount)  # refused here, before anything is begun
    if body.payment_method == "manual":
        return _by_hand(asked, funding)
    key = asked.key(account_id)
    if body.payment_intent_id is not None:
        return asked.once_with_calls_outside(key, lambda: _of_intent(asked, funding))
    return asked.once_with_calls_outside(key, lambda: _checkout(asked, funding, wallet))


def _by_hand(asked: Asked, funding: Funding) -> Response:
    if not asked.caller.is_platform or asked.caller.is_person:
        raise Forbidden("Only a platform key adds funds by hand.")
    reference = asked.body.payment_intent_id

    def operation() -> tuple[int, dict[str, Any]]:
        return 201, _added(funding.account_id, add_funds_by_hand(funding, reference))

    return asked.once(funding.account_id, operation)


def _of_intent(asked: Asked, funding: Funding) -> tuple[int, dict[str, Any]]:
    receipt = add_funds_of_intent(funding, asked.body.payment_intent_id, current_app.extensions["payments"])
    return 201, _added(funding.account_id, receipt)


def _checkout(asked: Asked, funding: Funding, wallet: Wallet) -> tuple[int, dict[str, Any]]:
    body = asked.body
    started = start_funding(
        funding.account_id, wallet.cents_of_units(funding.amount),
        request_key=request_key(asked.key(funding.account_id)), actor=funding.actor,
        payments=current_app.extensions["payments"], email=body.email, success_url=body.success_url,
        cancel_url=body.cancel_url,
    )  # fmt: skip
    return 201, {"session_id": started.session_id, "url": started.url}


def _added(account_id: int, receipt: GrantReceipt) -> dict[str, Any]:
    position = _position(account_id)
    text = formatted(receipt.balance_after, position)
    return {
        "message": f"{formatted(receipt.amount, position)} were added; the balance is {text}.",
        "transaction_id": receipt.transaction_id,
        "balance": to_number(receipt.balance_after, receipt.scale),
        "formatted": text,
    }


def _position(account_id: int) -> Position:
    return balance_of(account_id, wallet_of(account_id).code)


@call(
    "GET", "/api/billing/transactions", "The journal of the money wallet, newest first", scope="read",
    query=schemas.WalletHistoryQuery, answers={200: answers.WalletHistory}, refusals=(NotFound,),
)  # fmt: skip
def wallet_transactions(asked: Asked) -> Response:
    query = asked.query
    is_sms = query.type == SMS_SEND
    page = read_history(
        HistoryQuery(
            account_id=asked.account_id, type="usage" if is_sms else query.type, with_quantity=is_sms,
            credit_type=wallet_named(asked.account_id, query.credit_type).code, since=query.since,
            until=query.until, limit=query.limit, cursor=query.cursor,
            offset=0 if query.cursor else query.offset,
        )
    )  # fmt: skip
    return answered(page_answer(page, query, _wallet_line))


def _wallet_line(line: HistoryLine) -> dict[str, Any]:
    answer = line_answer(line)
    is_sms = line.type == "usage" and line.quantity is not None
    return answer | {
        "label": SMS_SEND if is_sms else line.type,
        "sms_count": answer["quantity"] if is_sms else None,
        "cost_per_sms": answer["unit_cost"] if is_sms else None,
    }

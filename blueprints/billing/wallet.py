"""The money wallet on the Billing page: what is in it, adding to it, what was spent."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import current_app, flash, redirect, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from blueprints.access import account_member
from blueprints.billing.blueprint import blueprint
from errors import CofferError, InvalidRequest, PaymentProviderUnavailable
from services.accounts.access import OpenAccount
from services.billing.purchases import start_funding
from services.catalog.wallets import LEAST_FUNDS, MOST_FUNDS, QUICK_AMOUNTS, Wallet, find_wallet
from services.ledger.balances import Position
from services.ledger.history import HistoryQuery, history
from services.money import currency_digits

LINES_A_PAGE = 20
# What the filter offers: names that the history knows, and messages.
LINE_TYPES = ("transactions", "purchases", "sms_send", "usage", "refund", "bonus", "adjustment")
LARGEST_ID = 2**62


def wallet_page(account: OpenAccount, types: dict[str, Position]) -> dict[str, Any]:
    """What the page shows of the wallet; None where the account's catalogue has none and nothing is in one."""
    wallet = find_wallet(account.id)
    position = types.get(wallet.code) if wallet else None
    if wallet is None or position is None or not (wallet.is_of_catalogue or position.last_sequence):
        return {"wallet": None}
    chosen = request.args.get("type", "transactions")
    chosen = chosen if chosen in LINE_TYPES else "transactions"
    is_sms = chosen == "sms_send"
    page = history(
        HistoryQuery(
            account_id=account.id, credit_type=wallet.code, type="usage" if is_sms else chosen,
            with_quantity=is_sms, limit=LINES_A_PAGE, cursor=_row_number("cursor"),
            newer_than=_row_number("newer_than"),
        )
    )  # fmt: skip
    return {
        "wallet": wallet,
        "wallet_type": position,
        "wallet_lines": page,
        "wallet_filter": chosen,
        "funds": funds_offer(wallet, position.available, request.args.get("amount", "")),
        "adding": "add-funds" in request.args,
    }


@blueprint.post("/home/<account>/billing/add-funds")
@account_member("member")
def add_funds(account: OpenAccount) -> Response:
    """Begin to add money and send the browser to Checkout. One form makes one order."""
    token = request.form.get("form_token", "")
    if not 16 <= len(token) <= 64:
        raise InvalidRequest.of("form_token", "is missing; open the page again")
    typed = request.form.get("own_amount", "").strip()[:20]
    back = url_for("billing.show", account=account.slug, **{"add-funds": 1, "amount": typed or None})
    wallet = find_wallet(account.id)
    if wallet is None:
        flash(_("This account has no money wallet."), "danger")
        return redirect(url_for("billing.show", account=account.slug), 303)
    try:
        cents = _cents(wallet)
        started = start_funding(
            account.id, cents, request_key=f"form:{token}:{cents}"[:255], actor=f"user:{current_user.id}",
            email=current_user.email, payments=current_app.extensions["payments"],
        )  # fmt: skip
    except PaymentProviderUnavailable:
        flash(_("The payment provider does not answer. Nothing was added; please try again."), "danger")
        return redirect(back, 303)
    except InvalidRequest as refusal:
        flash(_("The amount %(problem)s.", problem=refusal.errors[0].message), "danger")
        return redirect(back, 303)
    except CofferError as refusal:
        if refusal.status not in (402, 403, 409):
            raise
        flash(refusal.detail, "danger")
        return redirect(back, 303)
    return redirect(started.url, code=303)


@dataclass(frozen=True, slots=True)
class QuickAmount:
    """An amount that one click adds, and what is there then. Units: the wallet's, but ``amount`` the currency's."""

    amount: int
    units: int
    after: int


@dataclass(frozen=True, slots=True)
class FundsOffer:
    """What may be added. Units: the wallet's. ``after``: what is there with what was ``typed``; None: no amount."""

    quick: tuple[QuickAmount, ...]
    least: int
    most: int
    digits: int
    typed: str
    after: int | None


def funds_offer(wallet: Wallet, available: int, typed: str) -> FundsOffer:
    """The quick amounts with their resulting balances, and that of an amount that was typed before."""
    whole = 10**wallet.scale
    least, most = LEAST_FUNDS * whole, MOST_FUNDS * whole
    try:
        units = wallet.units_of_cents(_cents_of(typed, wallet)) if typed else 0
    except InvalidRequest:
        units = 0
    return FundsOffer(
        quick=tuple(QuickAmount(each, each * whole, available + each * whole) for each in QUICK_AMOUNTS),
        least=least, most=most, digits=currency_digits(wallet.currency), typed=typed[:20],
        after=available + units if least <= units <= most else None,
    )  # fmt: skip


def _cents(wallet: Wallet) -> int:
    """The amount of the button that was pressed, or one's own, in minor units. Raises InvalidRequest."""
    pressed = request.form.get("amount", "own")
    return _cents_of((request.form.get("own_amount", "") if pressed == "own" else pressed).strip(), wallet)


def _cents_of(text: str, wallet: Wallet) -> int:
    digits = currency_digits(wallet.currency)
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or not 0 < amount < 10**13 or amount.scaleb(digits) % 1:
        raise InvalidRequest.of("amount", _("must be a number such as 25 or 12.50"))
    return int(amount.scaleb(digits))


def _row_number(name: str) -> int | None:
    number = request.args.get(name, type=int)
    return number if number is not None and 0 < number < LARGEST_ID else None

"""Credits bought now and paid later, on the Usage page: what is offered, and one attempt to buy."""

from dataclasses import dataclass, field
from typing import Any

from flask import current_app, request
from flask_babel import gettext as _
from flask_login import current_user

from blueprints.filters import format_date, format_money
from blueprints.form_tokens import new_form_token
from errors import (
    AccountFrozen,
    AccountPastDue,
    BalanceLimit,
    CofferError,
    FieldError,
    IdempotencyKeyReused,
    InvalidRequest,
    OverageLimitReached,
    PriceChanged,
)
from services.accounts.access import OpenAccount
from services.agencies.pricing import OveragePrice
from services.billing.cards import saved_card
from services.money import currency_digits
from services.overage.purchases import (
    MAX_QUANTITY,
    MAX_TOTAL_CENTS,
    OverageReceipt,
    buy_overage,
    overage_offer,
    overage_owed,
)

QUANTITY, PRICE = "quantity-", "price-"
LONGEST = 20


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was typed and what came of it: a receipt, or what was wrong, with the fields that were."""

    typed: dict[str, str]
    receipt: OverageReceipt | None = None
    refusal: str | None = None
    errors: dict[str, str] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One type of credits on the form. Units: minor units. ``was_cents``: a price that was seen and holds no more."""

    price: OveragePrice
    typed: str
    subtotal_cents: int
    was_cents: int | None
    error: str | None


def overage_section(account: OpenAccount, attempt: Attempt | None = None) -> dict[str, Any]:
    """What the page shows of it; None where nothing is sold to the account that way."""
    offer = overage_offer(account.id) if account.kind == "client" else None
    if offer is None or not offer.prices:
        return {"overage": None}
    rows = [_row(price, attempt) for price in offer.prices]
    asks_for_card = current_app.extensions["settings"].overage_requires_card
    return {
        "overage": offer,
        "overage_rows": rows,
        "overage_total_cents": sum(row.subtotal_cents for row in rows),
        "overage_digits": currency_digits(offer.currency),
        "overage_most_cents": MAX_TOTAL_CENTS,
        "most_quantity": MAX_QUANTITY,
        "owed": overage_owed(account.id),
        "attempt": attempt,
        "may_buy_overage": account.allows("member") and account.status == "active",
        "needs_card": asks_for_card and saved_card(account.id) is None,
        "form_token": new_form_token(),
    }


def confirm(account: OpenAccount) -> Attempt:
    """Buy what the form says, once for the form."""
    typed, token = _sent(QUANTITY), request.form.get("form_token", "")
    try:
        if not 16 <= len(token) <= 64:
            raise InvalidRequest.of("form_token", _("The form is out of date; please confirm it again."))
        receipt = buy_overage(
            account.id, _quantities(typed), request.form.get("quote", "")[:255], request_key=f"form:{token}",
            actor=f"user:{current_user.id}",
            requires_card=current_app.extensions["settings"].overage_requires_card,
        )  # fmt: skip
    except (
        AccountFrozen, AccountPastDue, BalanceLimit, IdempotencyKeyReused, InvalidRequest, OverageLimitReached,
        PriceChanged,
    ) as refusal:  # fmt: skip
        return Attempt(
            typed, refusal=_words(refusal), errors=_field_errors(refusal), seen=_sent(PRICE),
            status=refusal.status,
        )  # fmt: skip
    return Attempt(typed, receipt)


def _sent(prefix: str) -> dict[str, str]:
    """The form's fields of a kind, by the code of the type."""
    return {
        name.removeprefix(prefix): text.strip()[:LONGEST]
        for name, text in request.form.items()
        if name.startswith(prefix)
    }


def _row(price: OveragePrice, attempt: Attempt | None) -> Row:
    if attempt is None:
        return Row(price, "", 0, None, None)
    typed, seen = attempt.typed.get(price.code, ""), attempt.seen.get(price.code, "")
    count = int(typed) if _is_quantity(typed) else 0
    was = int(seen) if _is_quantity(seen) and int(seen) != price.price_cents else None
    return Row(price, typed, count * price.price_cents, was, attempt.errors.get(price.code))


def _is_quantity(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= MAX_QUANTITY


def _quantities(typed: dict[str, str]) -> dict[str, int]:
    """Whole numbers of the fields. Raises InvalidRequest naming each field that holds something else."""
    wrong = [code for code, text in typed.items() if text and not _is_quantity(text)]
    if wrong:
        words = _("must be a whole number up to %(most)s", most=f"{MAX_QUANTITY:,}")
        raise InvalidRequest(*(FieldError(f"quantities.{code}", words) for code in wrong))
    return {code: int(text) for code, text in typed.items() if text}


def _field_errors(refusal: CofferError) -> dict[str, str]:
    if not isinstance(refusal, InvalidRequest):
        return {}
    return {
        error.field.removeprefix("quantities."): error.message
        for error in refusal.errors
        if error.field.startswith("quantities.")
    }


def _words(refusal: CofferError) -> str:
    """What to tell of a refusal: that nothing was bought, and what to do about it."""
    members = refusal.members
    if isinstance(refusal, PriceChanged):
        return _(
            "A price has changed since you saw it. Nothing was bought: see the new prices and confirm again."
        )
    if isinstance(refusal, OverageLimitReached):
        left, limit = (
            format_money(members[name], members["currency"]) for name in ("left_cents", "limit_cents")
        )
        return _("Nothing was bought: %(left)s are left of your limit of %(limit)s.", left=left, limit=limit)
    if isinstance(refusal, IdempotencyKeyReused):
        return _("This form was confirmed before, with other quantities. Nothing more was bought; confirm again if you "
                 "want these too.")  # fmt: skip
    if isinstance(refusal, InvalidRequest):
        return _words_of_fields(refusal)
    return refusal.detail


def _words_of_fields(refusal: InvalidRequest) -> str:
    first = refusal.errors[0]
    if first.field == "card":
        return _("Nothing was bought: keep a card on Billing first, to pay with later.")
    if first.field == "quantities" and not any(_sent(QUANTITY).values()):
        return _("Choose how many credits you want of at least one kind.")
    if first.field == "quantities":
        return _("Nothing was bought: the quantities %(problem)s.", problem=first.message)
    if first.field.startswith("quantities."):
        return _("Nothing was bought: a quantity is not right.")
    return first.message


def success_words(receipt: OverageReceipt) -> str:
    """What to tell of a purchase."""
    total, day = format_money(receipt.total_cents, receipt.currency), format_date(receipt.charged_at)
    return _("The credits are yours now. You pay %(total)s on %(day)s.", total=total, day=day)

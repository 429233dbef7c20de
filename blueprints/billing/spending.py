"""What an account lets happen by itself, or forbids: spending caps."""

from decimal import Decimal, InvalidOperation
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from blueprints.access import account_member
from blueprints.billing.blueprint import blueprint
from errors import CofferError, InvalidRequest
from services.accounts.access import OpenAccount
from services.catalog.packages import packages_for
from services.catalog.wallets import find_wallet
from services.ledger.balances import Position, positions
from services.ledger.spending_caps import set_spending_cap, spending_caps
from services.money import from_units, to_units


@blueprint.get("/home/<account>/billing/spending")
@account_member("viewer")
def spending(account: OpenAccount) -> str:
    """The caps, and what is set."""
    return _page(account)


@blueprint.post("/home/<account>/billing/spending-caps")
@account_member("owner")
def set_caps(account: OpenAccount) -> Response | tuple[str, int]:
    """Keep what an owner wants of each credit type; an empty field is no cap. A wrong number changes nothing."""
    try:
        wanted = {each.credit_type: _cap_of(each) for each in spendable_types(account.id)}
    except CofferError as refusal:
        flash(refusal.detail, "danger")
        return _page(account), 422
    for credit_type, units in wanted.items():
        set_spending_cap(account.id, credit_type, units, f"user:{current_user.user_id}")
    flash(_("Saved."), "success")
    return redirect(url_for("billing.spending", account=account.slug), 303)


def _page(account: OpenAccount) -> str:
    return render_template(
        "billing/spending.html", account=account, types=spendable_types(account.id),
        may_set=account.allows("owner") and account.status != "parked", **spending_cards(account),
    )  # fmt: skip


def spending_cards(account: OpenAccount) -> dict[str, Any]:
    """What Billing shows of it too."""
    caps = spending_caps(account.id)
    texts = {cap.credit_type: f"{from_units(cap.cap, cap.scale).normalize():f}" for cap in caps}
    return {"caps": caps, "cap_texts": texts}


def spendable_types(account_id: int) -> list[Position]:
    """The credit types that an account has, or may get by what its catalogue sells."""
    found = positions(account_id)
    wallet = find_wallet(account_id)
    sold = {package.credit_type_id for package in packages_for(account_id)}
    if wallet is not None and wallet.is_of_catalogue:
        sold.add(wallet.credit_type_id)
    capped = {cap.credit_type_id for cap in spending_caps(account_id)}
    chosen = [each for each in found if each.last_sequence or each.credit_type_id in sold | capped]
    return chosen or found[:1]


def _cap_of(each: Position) -> int | None:
    """What the form says of a type. Raises InvalidRequest naming it."""
    text = request.form.get(f"cap-{each.credit_type}", "").strip()
    return units_of(text, each.scale, each.name) if text else None


def units_of(text: str, scale: int, name: str) -> int:
    """An amount as somebody types it. Raises InvalidRequest naming what it is of."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal(0)
    if not number.is_finite() or not 0 < number < 10**12:
        raise InvalidRequest.of(name, _("must be a number above zero, or empty"))
    try:
        return to_units(number, scale)
    except InvalidRequest as refusal:
        raise InvalidRequest.of(name, refusal.errors[0].message) from None

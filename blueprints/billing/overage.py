"""What an account owes for credits bought now and paid later, and paying it at once."""

from typing import Any

from flask import current_app, flash, redirect, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from blueprints.access import account_member
from blueprints.billing.blueprint import blueprint
from errors import Conflict, PaymentProviderUnavailable
from services.accounts.access import OpenAccount
from services.overage.charges import open_charges_of
from services.overage.charging import pay_now
from services.overage.purchases import overage_offer, overage_owed


def overage_cards(account: OpenAccount) -> dict[str, Any]:
    """What Billing shows of it; ``owed`` is None where nothing is owed or sold that way."""
    owed, charges = overage_owed(account.id), open_charges_of(account.id)
    sells = account.kind == "client" and bool(overage_offer(account.id).prices)
    concerns = sells or charges or owed.total_cents
    return {"owed": owed if concerns else None, "charges": charges, "sells_overage": sells}


@blueprint.post("/home/<account>/billing/charges/<charge_id>/pay")
@account_member("member")
def pay_charge(account: OpenAccount, charge_id: str) -> Response:
    """Try what is owed with the card that is kept. A charge has one invoice, which is paid once."""
    try:
        payments = current_app.extensions["payments"]
        told, kind = _outcome(pay_now(account.id, charge_id, f"user:{current_user.id}", payments))
    except PaymentProviderUnavailable:
        told, kind = _("The payment provider does not answer; please look again in a few minutes."), "danger"
    except Conflict as refusal:
        told, kind = refusal.detail, "info"
    flash(told, kind)
    return redirect(url_for("billing.show", account=account.slug), 303)


def _outcome(status: str) -> tuple[str, str]:
    """What to tell of a charge that was tried."""
    words = {
        "charged": (_("It is paid. Thank you."), "success"),
        "failed": (_("The card was refused. Use another card, or the invoice."), "danger"),
        "requires_action": (_("Your bank asks you to confirm the payment: open the invoice."), "warning"),
    }
    return words.get(status, (_("The payment is under way."), "info"))

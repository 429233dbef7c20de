"""Payments made, credits to buy, and the way to Checkout and back."""

from typing import Any

from flask import current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from blueprints.access import account_member
from blueprints.billing.blueprint import blueprint
from blueprints.billing.overage import overage_cards
from blueprints.billing.spending import spending_cards
from blueprints.billing.wallet import wallet_page
from blueprints.form_tokens import new_form_token
from errors import CofferError, InvalidRequest, PaymentProviderUnavailable
from services.accounts.access import OpenAccount
from services.billing.cards import saved_card
from services.billing.fulfilment import fulfil_checkout
from services.billing.payments import payments_of
from services.billing.plan_changes import cancellation_losses
from services.billing.purchases import order_of_session, start_purchase
from services.billing.subscriptions import subscription_of
from services.catalog.packages import packages_for
from services.catalog.plans import plans_for
from services.ledger.balances import positions

PAYMENTS_A_PAGE = 50


@blueprint.get("/home/<account>/billing")
@account_member("viewer")
def show(account: OpenAccount) -> str:
    """The payments and the packages."""
    page_number = max(request.args.get("page", 1, type=int) or 1, 1)
    offset = min((page_number - 1) * PAYMENTS_A_PAGE, 2**31)
    payments = payments_of(account.id, limit=PAYMENTS_A_PAGE, offset=offset)
    types = {position.credit_type: position for position in positions(account.id)}
    return render_template(
        "billing/show.html",
        account=account,
        payments=payments.payments,
        total=payments.total,
        page_number=page_number,
        per_page=PAYMENTS_A_PAGE,
        packages=packages_for(account.id),
        **_subscription(account),
        types=types,
        form_token=new_form_token(),
        **wallet_page(account, types),
        **overage_cards(account),
        **spending_cards(account),
        may_buy=account.allows("member"),
        buying="buy-credits" in request.args,
        canceled="canceled" in request.args,
    )


def _subscription(account: OpenAccount) -> dict[str, Any]:
    """What the card of the subscription shows."""
    subscription = subscription_of(account.id)
    can_cancel = subscription.is_stripe and not subscription.cancel_at_period_end
    return {
        "subscription": subscription,
        "card": saved_card(account.id),
        "losses": cancellation_losses(account.id) if can_cancel else None,
        "may_manage": account.allows("owner") and account.status not in ("frozen", "parked"),
        "cancelling": "cancel" in request.args,
        "has_plans": bool(plans_for(account.id)),
    }


@blueprint.post("/home/<account>/billing/buy")
@account_member("member")
def buy(account: OpenAccount) -> Response:
    """Begin a purchase and send the browser to Checkout. One form makes one order."""
    token, package = request.form.get("form_token", ""), request.form.get("package", "")
    if not 16 <= len(token) <= 64:
        raise InvalidRequest.of("form_token", "is missing; open the page again")
    try:
        started = start_purchase(
            account.id,
            package,
            request_key=f"form:{token}:{package}"[:255],
            actor=f"user:{current_user.id}",
            email=current_user.email,
            payments=current_app.extensions["payments"],
        )
    except PaymentProviderUnavailable:
        flash(_("The payment provider does not answer. Nothing was bought; please try again."), "danger")
        return redirect(url_for("billing.show", account=account.slug))
    except CofferError as refusal:
        if refusal.status not in (402, 403, 409):
            raise
        flash(refusal.detail, "danger")
        return redirect(url_for("billing.show", account=account.slug))
    return redirect(started.url, code=303)


@blueprint.get("/home/<account>/billing/success")
@account_member("viewer")
def success(account: OpenAccount) -> str | Response:
    """Back from Checkout: fulfil the order if the webhook has not yet, and say what came of it."""
    session_id = request.args.get("session_id", "")
    if not session_id:
        return redirect(url_for("billing.show", account=account.slug))
    order = order_of_session(account.id, session_id)
    is_late = False
    if order.status not in ("paid", "flagged"):
        try:
            fulfil_checkout(session_id, "checkout", current_app.extensions["payments"])
        except PaymentProviderUnavailable:
            is_late = True  # the webhook, or the job, will bring it
        order = order_of_session(account.id, session_id)
    types = {position.credit_type_id: position for position in positions(account.id)}
    return render_template(
        "billing/success.html",
        account=account,
        order=order,
        type=types[order.credit_type_id],
        is_late=is_late,
    )

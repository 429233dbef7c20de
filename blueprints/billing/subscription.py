"""Plans to choose from, and what the owner of an account does about its subscription."""

from collections.abc import Callable
from datetime import UTC, datetime

from flask import current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from blueprints.access import account_member
from blueprints.billing.blueprint import blueprint
from blueprints.form_tokens import new_form_token
from errors import CofferError, InvalidRequest, PaymentProviderUnavailable
from gateways.payments import Payments
from services.accounts.access import OpenAccount
from services.billing.cards import start_portal
from services.billing.plan_changes import (
    cancel_subscription,
    change_plan,
    preview_change,
    resume_subscription,
    withdraw_pending_change,
)
from services.billing.purchases import start_card_setup, start_subscription
from services.billing.subscriptions import subscription_of
from services.catalog.plans import plans_for
from services.usage.advice import advice_for
from services.usage.report import usage_of

REFUSALS = (402, 403, 404, 409, 422)
INTERVALS = ("month", "year")
Deed = Callable[[], Response]


@blueprint.get("/home/<account>/plans")
@account_member("viewer")
def plans(account: OpenAccount) -> str:
    """The plans of the account's catalogue beside what the account uses."""
    subscription, usage = subscription_of(account.id), usage_of(account.id)
    offered = plans_for(account.id)
    used = {meter.code: meter.used for meter in usage.meters}
    asked, picked = request.args.get("interval"), request.args.get("plan")
    return render_template(
        "pricing/plans.html",
        account=account,
        plans=offered,
        used=used,
        chosen=next((plan for plan in offered if plan.code == picked and not plan.is_default), None),
        subscription=subscription,
        recommendation=advice_for(account.id, subscription, usage.meters).recommendation,
        interval=asked if asked in INTERVALS else subscription.interval or "month",
        form_token=new_form_token(),
        may_change=account.allows("owner") and account.status not in ("frozen", "parked"),
    )


@blueprint.post("/home/<account>/billing/subscribe")
@account_member("owner")
def subscribe(account: OpenAccount) -> Response:
    """Begin to subscribe and send the browser to Checkout. One form begins one order."""
    plan, interval = request.form.get("plan", ""), request.form.get("interval", "month")

    def begin() -> Response:
        started = start_subscription(
            account.id, plan, interval, request_key=f"{_form_key()}:{plan}:{interval}"[:255], actor=_actor(),
            email=current_user.email, payments=_payments(),
        )  # fmt: skip
        return redirect(started.url, code=303)

    return _done(account, begin, url_for("billing.plans", account=account.slug, interval=interval))


@blueprint.get("/home/<account>/billing/change")
@account_member("owner")
def preview(account: OpenAccount) -> str | Response:
    """What another plan would cost and bring, to be confirmed."""
    plan, interval = request.args.get("plan", ""), request.args.get("interval", "month")
    try:
        found = preview_change(account.id, plan, interval, _payments())
    except CofferError as refusal:
        return _refused(account, refusal, url_for("billing.plans", account=account.slug))
    return render_template(
        "billing/change.html", account=account, preview=found, subscription=subscription_of(account.id),
        plan=next(each for each in plans_for(account.id) if each.code == plan), form_token=new_form_token(),
    )  # fmt: skip


@blueprint.post("/home/<account>/billing/change")
@account_member("owner")
def change(account: OpenAccount) -> Response:
    """Change the plan as the preview said."""
    form = request.form

    def begin() -> Response:
        outcome = change_plan(
            account.id, form.get("plan", ""), form.get("interval", "month"), request_key=_form_key(),
            actor=_actor(), payments=_payments(), prorated_at=_instant(form.get("prorated_at", "")),
            expected_cents=form.get("amount_due", type=int),
        )  # fmt: skip
        if outcome.status == "requires_action" and outcome.url:
            return redirect(outcome.url, code=303)
        words = {
            "changed": _("Your plan is changed."),
            "pending": _("Your plan changes with the end of the period."),
        }
        flash(words.get(outcome.status, _("Your bank asks you to confirm the payment.")), "success")
        return _to_billing(account)

    return _done(account, begin, url_for("billing.plans", account=account.slug))


@blueprint.post("/home/<account>/billing/keep-plan")
@account_member("owner")
def keep_plan(account: OpenAccount) -> Response:
    """Withdraw the change that waits for the period's end."""
    return _deed(account, withdraw_pending_change, _("You keep your plan."))


@blueprint.post("/home/<account>/billing/cancel")
@account_member("owner")
def cancel(account: OpenAccount) -> Response:
    """Let the subscription end with its period."""
    return _deed(account, cancel_subscription, _("Your subscription ends with its period."))


@blueprint.post("/home/<account>/billing/resume")
@account_member("owner")
def resume(account: OpenAccount) -> Response:
    """Let a cancelled subscription go on."""
    return _deed(account, resume_subscription, _("Your subscription goes on."))


@blueprint.post("/home/<account>/billing/card")
@account_member("owner")
def card(account: OpenAccount) -> Response:
    """Keep a card for later payments, through Checkout."""

    def begin() -> Response:
        key = f"{_form_key()}:card"
        started = start_card_setup(account.id, request_key=key, actor=_actor(), payments=_payments())
        return redirect(started.url, code=303)

    return _done(account, begin)


@blueprint.post("/home/<account>/billing/portal")
@account_member("owner")
def portal(account: OpenAccount) -> Response:
    """The provider's page with invoices and cards."""
    back = url_for("billing.show", account=account.slug, _external=True)
    return _done(account, lambda: redirect(start_portal(account.id, back, _payments()), code=303))


def _deed(account: OpenAccount, deed: Callable[..., None], words: str) -> Response:
    def run() -> Response:
        deed(account.id, request_key=_form_key(), actor=_actor(), payments=_payments())
        flash(words, "success")
        return _to_billing(account)

    return _done(account, run)


def _done(account: OpenAccount, deed: Deed, back: str = "") -> Response:
    """Do it; a refusal is told on the page that one came from."""
    try:
        return deed()
    except CofferError as refusal:
        return _refused(account, refusal, back)


def _refused(account: OpenAccount, refusal: CofferError, back: str = "") -> Response:
    if isinstance(refusal, PaymentProviderUnavailable):
        flash(_("The payment provider does not answer. Nothing was changed; please try again."), "danger")
    elif refusal.status in REFUSALS:
        flash(refusal.detail, "danger")
    else:
        raise refusal
    return redirect(back or url_for("billing.show", account=account.slug), 303)


def _to_billing(account: OpenAccount) -> Response:
    return redirect(url_for("billing.show", account=account.slug), 303)


def _form_key() -> str:
    token = request.form.get("form_token", "")
    if not 16 <= len(token) <= 64:
        raise InvalidRequest.of("form_token", "is missing; open the page again")
    return f"form:{token}"


def _instant(text: str) -> datetime | None:
    """The second that a preview was of. Raises InvalidRequest."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise InvalidRequest.of("prorated_at", "is out of date; look at the amount again")
    return datetime.fromtimestamp(int(text), UTC)


def _actor() -> str:
    return f"user:{current_user.id}"


def _payments() -> Payments:
    return current_app.extensions["payments"]

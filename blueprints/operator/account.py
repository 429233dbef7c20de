"""One account, as an operator sees it: settings, status, plan, credits, keys."""

from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from blueprints.access import operator_only, person
from blueprints.form_tokens import new_form_token, once_per_form
from blueprints.forms import add_errors, add_refusal
from blueprints.operator.blueprint import blueprint
from blueprints.operator.forms import CorrectionForm, MintForm, PlanForm, SettingsForm, choices_of
from blueprints.operator.routes import SHOWN_ON_FORMS
from errors import CofferError
from services.accounts import accounts, api_keys
from services.accounts.account_fields import SETTABLE_STATUSES
from services.accounts.accounts import AccountView
from services.billing.subscriptions import set_plan, subscription_of
from services.catalog.credit_types import credit_types
from services.catalog.plans import plans_for
from services.ledger.balances import positions
from services.ledger.corrections import Correction, correct_balance
from services.ledger.scales import scale_of
from services.money import to_units

Answer = str | Response | tuple[str, int]


@dataclass
class AccountForms:
    """The forms of the page; the one that was sent is bound, the others are fresh."""

    settings: SettingsForm | None = None
    plan: PlanForm | None = None
    correction: CorrectionForm | None = None
    mint: MintForm | None = None


def account_named(slug: str) -> AccountView:
    """The account of an address. Raises NotFound."""
    return accounts.account_view(accounts.account_by_name(slug))


@blueprint.get("/operator/accounts/<slug>")
@operator_only
def account(slug: str) -> Answer:
    """The page."""
    return account_page(account_named(slug), AccountForms(), 200)


@blueprint.post("/operator/accounts/<slug>/settings")
@operator_only
def change_settings(slug: str) -> Answer:
    """Change what the account is called and where it is."""
    found, form = account_named(slug), SettingsForm()
    if not form.validate():
        return account_page(found, AccountForms(settings=form), 422)
    names = ("name", "slug", "external_id", "email", "time_zone", "locale")
    present = {name: form[name].data for name in names if form[name].data != getattr(found, name)}
    try:
        changed = accounts.update_account(found.id, present, actor=person().actor) if present else found
    except CofferError as refusal:
        _show(refusal, form)
        return account_page(found, AccountForms(settings=form), 422)
    flash(_("The settings are saved."), "success")
    return redirect(url_for("operator.account", slug=changed.slug), 303)


@blueprint.post("/operator/accounts/<slug>/status")
@operator_only
def change_status(slug: str) -> Answer:
    """Let an account spend, warn it, or freeze it."""
    found = account_named(slug)
    status = request.form.get("status", "")
    try:
        accounts.update_account(found.id, {"status": status}, actor=person().actor)
    except CofferError as refusal:
        if refusal.status not in SHOWN_ON_FORMS:
            raise
        flash(refusal.detail, "danger")
    else:
        flash(_("The status is changed."), "success")
    return _back_to(found)


@blueprint.post("/operator/accounts/<slug>/plan")
@operator_only
def change_plan(slug: str) -> Answer:
    """Put the account on a plan without a payment."""
    found = account_named(slug)
    form = _plan_form(found, PlanForm())
    if not form.validate():
        return account_page(found, AccountForms(plan=form), 422)
    try:
        set_plan(found.id, form.plan.data, form.interval.data, actor=person().actor)
    except CofferError as refusal:
        _show(refusal, form)
        return account_page(found, AccountForms(plan=form), 422)
    flash(_("The plan is set."), "success")
    return _back_to(found)


@blueprint.post("/operator/accounts/<slug>/credits")
@operator_only
def correct_credits(slug: str) -> Answer:
    """Give or take credits; one form books one line."""
    found = account_named(slug)
    form = _correction_form(found, CorrectionForm())
    if not form.validate():
        return account_page(found, AccountForms(correction=form), 422)
    try:
        correction = _correction(found, form)
        answer = once_per_form(found.id, lambda: (200, {"transaction_id": correct_balance(correction)}))
    except CofferError as refusal:
        _show(refusal, form)
        return account_page(found, AccountForms(correction=form), 422)
    if answer.status >= 400:
        add_refusal(form, answer, field="amount" if answer.status == 402 else None)
        return account_page(found, AccountForms(correction=form), 422)
    flash(_("The credits are booked."), "success")
    return _back_to(found)


def account_page(
    found: AccountView, forms: AccountForms, status: int, *, minted: api_keys.MintedKey | None = None
) -> tuple[str, int]:
    """The page of an account, with whatever form was refused, or a key that is shown this once."""
    settings = forms.settings or SettingsForm(formdata=None, obj=found)
    subscription = subscription_of(found.id)
    now_on = {"plan": subscription.plan, "interval": subscription.interval or "month"}
    plan = forms.plan or _plan_form(found, PlanForm(formdata=None, data=now_on))
    correction = forms.correction or _correction_form(found, CorrectionForm(formdata=None))
    mint = forms.mint or MintForm(formdata=None)
    correction.form_token.data = new_form_token()
    mint.form_token.data = new_form_token()
    page = render_template(
        "operator/account.html",
        account=found,
        positions=positions(found.id),
        subscription=subscription,
        keys=api_keys.list_keys(found.id),
        statuses=[name for name in SETTABLE_STATUSES if name != found.status],
        settings_form=settings,
        plan_form=plan,
        correction_form=correction,
        mint_form=mint,
        minted=minted,
        confirming=request.args.get("confirm", ""),
    )
    return page, status


def _plan_form(found: AccountView, form: PlanForm) -> PlanForm:
    form.plan.choices = choices_of((plan.code, plan.name) for plan in plans_for(found.id))
    return form


def _correction_form(found: AccountView, form: CorrectionForm) -> CorrectionForm:
    form.credit_type.choices = choices_of((counted.code, counted.name) for counted in credit_types())
    form.expires_at.description = _(
        "Empty: never expires. Days end by the account's time zone, %(zone)s.", zone=found.time_zone
    )
    return form


def _correction(found: AccountView, form: CorrectionForm) -> Correction:
    credit_type = form.credit_type.data
    values: dict[str, Any] = {"amount": to_units(form.amount.data, scale_of(credit_type))}
    return Correction(
        account_id=found.id, kind=form.kind.data, credit_type=credit_type, actor=person().actor,
        description=form.description.data, expires_at=form.expiry(found.time_zone), **values,
    )  # fmt: skip


def _show(refusal: CofferError, form: Any) -> None:
    """Put a refusal on the form that was sent; what is no refusal of its content goes on."""
    if refusal.status not in SHOWN_ON_FORMS:
        raise refusal
    add_errors(form, refusal)


def _back_to(found: AccountView) -> Response:
    return redirect(url_for("operator.account", slug=found.slug), 303)

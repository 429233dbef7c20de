"""API keys, of one account and of the whole instance: mint, list, revoke."""

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from blueprints.access import operator_only, person
from blueprints.form_tokens import new_form_token
from blueprints.minting import mint_once
from blueprints.operator.account import AccountForms, Answer, account_named, account_page
from blueprints.operator.blueprint import blueprint
from blueprints.operator.forms import MintForm
from services.accounts import api_keys


@blueprint.post("/operator/accounts/<slug>/keys")
@operator_only
def mint_key(slug: str) -> Answer:
    """Make a key of the account and show it, this once."""
    found, form = account_named(slug), MintForm()
    minted = mint_once(form, found.id, form.scopes.data) if form.validate() else None
    if minted is None:
        return account_page(found, AccountForms(mint=form), 422)
    return account_page(found, AccountForms(), 201, minted=minted)


@blueprint.post("/operator/accounts/<slug>/keys/<rowid:key_id>/revoke")
@operator_only
def revoke_key(slug: str, key_id: int) -> Response:
    """End a key of the account."""
    found = account_named(slug)
    api_keys.revoke(key_id, found.id, actor=person().actor)
    flash(_("The key is revoked."), "success")
    return redirect(url_for("operator.account", slug=found.slug), 303)


@blueprint.get("/operator/keys")
@operator_only
def platform_keys() -> Answer:
    """The keys of the whole instance."""
    return _platform_page(MintForm(formdata=None), 200)


@blueprint.post("/operator/keys")
@operator_only
def mint_platform_key() -> Answer:
    """Make a key of the whole instance and show it, this once."""
    form = MintForm()
    minted = mint_once(form, None, form.scopes.data) if form.validate() else None
    if minted is None:
        return _platform_page(form, 422)
    return _platform_page(MintForm(formdata=None), 201, minted)


@blueprint.post("/operator/keys/<rowid:key_id>/revoke")
@operator_only
def revoke_platform_key(key_id: int) -> Response:
    """End a key of the whole instance."""
    api_keys.revoke(key_id, actor=person().actor, only_platform=True)
    flash(_("The key is revoked."), "success")
    return redirect(url_for("operator.platform_keys"), 303)


def _platform_page(form: MintForm, status: int, minted: api_keys.MintedKey | None = None) -> tuple[str, int]:
    form.form_token.data = new_form_token()
    page = render_template(
        "operator/keys.html",
        keys=api_keys.list_keys(only_platform=True),
        mint_form=form,
        minted=minted,
        confirming=request.args.get("confirm", ""),
    )
    return page, status

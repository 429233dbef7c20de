"""An account's API keys: owners mint and revoke keys that read; those of operators are only listed."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from blueprints.access import account_member, person
from blueprints.form_tokens import new_form_token
from blueprints.keys.forms import MintForm
from blueprints.minting import mint_once
from services.accounts import api_keys
from services.accounts.access import OpenAccount

blueprint = Blueprint("keys", __name__, url_prefix="/home/<account>/keys")
OWN_SCOPES = ("read",)


@blueprint.get("")
@account_member("owner")
def show(account: OpenAccount) -> tuple[str, int]:
    """The page."""
    return _page(account, MintForm(formdata=None), 200)


@blueprint.post("")
@account_member("owner")
def mint(account: OpenAccount) -> tuple[str, int]:
    """Make a key that reads and show it, this once."""
    form = MintForm()
    minted = mint_once(form, account.id, OWN_SCOPES) if form.validate() else None
    if minted is None:
        return _page(account, form, 422)
    return _page(account, MintForm(formdata=None), 201, minted)


@blueprint.post("/<rowid:key_id>/revoke")
@account_member("owner")
def revoke(account: OpenAccount, key_id: int) -> Response:
    """End a key."""
    api_keys.revoke(key_id, account.id, actor=person().actor, only_scopes=OWN_SCOPES)
    flash(_("The key is revoked."), "success")
    return redirect(url_for("keys.show", account=account.slug), 303)


def _page(
    account: OpenAccount, form: MintForm, status: int, minted: api_keys.MintedKey | None = None
) -> tuple[str, int]:
    form.form_token.data = new_form_token()
    page = render_template(
        "keys/show.html",
        account=account,
        keys=api_keys.list_keys(account.id),
        own_scopes=OWN_SCOPES,
        mint_form=form,
        minted=minted,
        confirming=request.args.get("confirm", ""),
    )
    return page, status

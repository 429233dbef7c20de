"""The list of notices and what an account wants to hear."""

from decimal import Decimal, InvalidOperation

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from blueprints.access import account_member
from blueprints.notices.blueprint import blueprint
from blueprints.notices.words import kind_name, words_of
from errors import CofferError, InvalidRequest
from services.accounts.access import OpenAccount
from services.money import to_units
from services.notices.kinds import KINDS
from services.notices.notices import (
    Threshold,
    mark_read,
    notices_of,
    set_threshold,
    set_wishes,
    thresholds_of,
    wishes_of,
)

A_PAGE = 25


@blueprint.get("/home/<account>/notices")
@account_member("viewer")
def show(account: OpenAccount) -> str:
    """What there was to tell, newest first."""
    older_than = request.args.get("older_than", type=int)
    found = notices_of(account.id, current_user.user_id, older_than=older_than, limit=A_PAGE + 1)
    return render_template(
        "notices/show.html", account=account, notices=[(each, words_of(each)) for each in found[:A_PAGE]],
        has_unread=any(not each.is_read for each in found),
        older_href=url_for("notices.show", account=account.slug, older_than=found[A_PAGE - 1].id)
        if len(found) > A_PAGE else None,
    )  # fmt: skip


@blueprint.post("/home/<account>/notices/read")
@account_member("viewer")
def read(account: OpenAccount) -> Response:
    """All of them have been read."""
    mark_read(account.id, current_user.user_id)
    return redirect(url_for("notices.show", account=account.slug), 303)


@blueprint.get("/home/<account>/notices/settings")
@account_member("owner")
def settings(account: OpenAccount) -> str:
    """Which kinds are told where, and below what balance."""
    return _settings_page(account)


@blueprint.post("/home/<account>/notices/settings")
@account_member("owner")
def change_settings(account: OpenAccount) -> Response | tuple[str, int]:
    """Keep what is wanted. A wrong threshold changes nothing."""
    try:
        wanted = {each.credit_type_id: _threshold(each) for each in thresholds_of(account.id)}
    except CofferError as refusal:
        flash(refusal.detail, "danger")
        return _settings_page(account), 422
    in_app, by_mail = (set(request.form.getlist(name)) & set(KINDS) for name in ("in_app", "by_mail"))
    set_wishes(account.id, in_app, by_mail, f"user:{current_user.user_id}")
    for credit_type_id, units in wanted.items():
        set_threshold(account.id, credit_type_id, units, f"user:{current_user.user_id}")
    flash(_("Saved."), "success")
    return redirect(url_for("notices.settings", account=account.slug), 303)


def _settings_page(account: OpenAccount) -> str:
    return render_template(
        "notices/settings.html", account=account, wishes=wishes_of(account.id),
        names={code: kind_name(code) for code in KINDS}, thresholds=thresholds_of(account.id),
    )  # fmt: skip


def _threshold(each: Threshold) -> int | None:
    """What the form says of a type. Raises InvalidRequest naming it."""
    text = request.form.get(f"threshold-{each.credit_type}", "").strip()
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(0)
    if not number.is_finite() or not 0 < number < 10**12:
        raise InvalidRequest.of(each.name, _("must be a number above zero, or empty"))
    return to_units(number, each.scale)

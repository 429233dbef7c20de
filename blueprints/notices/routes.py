"""The list of notices and what an account wants to hear."""

from decimal import Decimal, InvalidOperation

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from blueprints.access import account_member
from blueprints.notices.blueprint import blueprint
from blueprints.notices.words import kind_name, words_of
from errors import BalanceLimit, InvalidRequest
from services.accounts.access import OpenAccount
from services.money import from_units, to_units
from services.notices.kinds import KINDS
from services.notices.notices import (
    Threshold,
    Wish,
    configure,
    mark_read,
    notices_of,
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
    thresholds = thresholds_of(account.id)
    typed = {each.credit_type: _written(each) for each in thresholds}
    return _settings_page(account, wishes_of(account.id), thresholds, typed, {})


@blueprint.post("/home/<account>/notices/settings")
@account_member("owner")
def change_settings(account: OpenAccount) -> Response | tuple[str, int]:
    """Keep what is wanted, all of it or nothing; a wrong threshold is shown with everything as it was typed."""
    in_app, by_mail = (set(request.form.getlist(name)) & set(KINDS) for name in ("in_app", "by_mail"))
    thresholds = thresholds_of(account.id)
    typed = {each.credit_type: request.form.get(f"threshold-{each.credit_type}", "") for each in thresholds}
    wanted, wrong = _parsed(thresholds, typed)
    if wrong:
        chosen = [
            Wish(kind, kind.code in in_app, kind.code in by_mail or kind.is_about_money_owed)
            for kind in KINDS.values()
        ]
        return _settings_page(account, chosen, thresholds, typed, wrong), 422
    configure(account.id, in_app, by_mail, wanted, f"user:{current_user.user_id}")
    flash(_("Saved."), "success")
    return redirect(url_for("notices.settings", account=account.slug), 303)


def _settings_page(
    account: OpenAccount, wishes: list[Wish], thresholds: list[Threshold], typed: dict[str, str],
    wrong: dict[str, str],
) -> str:  # fmt: skip
    return render_template(
        "notices/settings.html", account=account, wishes=wishes, thresholds=thresholds, typed=typed,
        wrong=wrong, names={code: kind_name(code) for code in KINDS},
    )  # fmt: skip


def _written(each: Threshold) -> str:
    """A threshold as it stands in its field."""
    return "" if each.units is None else f"{from_units(each.units, each.scale).normalize():f}"


def _parsed(
    thresholds: list[Threshold], typed: dict[str, str]
) -> tuple[dict[int, int | None], dict[str, str]]:
    """What the form says of each type, in units; and what is wrong, by the type's code."""
    wanted: dict[int, int | None] = {}
    wrong: dict[str, str] = {}
    for each in thresholds:
        try:
            wanted[each.credit_type_id] = _threshold(each, typed[each.credit_type].strip())
        except InvalidRequest as refusal:
            wrong[each.credit_type] = refusal.errors[0].message
        except BalanceLimit as refusal:
            wrong[each.credit_type] = refusal.detail
    return wanted, wrong


def _threshold(each: Threshold, text: str) -> int | None:
    """Raises InvalidRequest naming the type, BalanceLimit."""
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(0)
    if not number.is_finite() or not 0 < number < 10**12:
        raise InvalidRequest.of(each.name, _("Must be a number above zero, or empty."))
    return to_units(number, each.scale)

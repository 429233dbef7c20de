"""Viewing an account as its people see it."""

from flask import flash, redirect, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from blueprints.access import operator_only, person
from blueprints.operator.account import account_named
from blueprints.operator.blueprint import blueprint
from blueprints.viewing import begin_viewing, end_viewing
from services.accounts.access import RANKS
from services.audit import record


@blueprint.post("/operator/accounts/<slug>/view-as")
@operator_only
def view_as(slug: str) -> Response:
    """See the account's pages as a viewer, member or owner of it does, changing nothing."""
    found = account_named(slug)
    role = request.form.get("role", "owner")
    if role not in RANKS:
        flash(_("Choose viewer, member or owner."), "danger")
        return redirect(url_for("operator.account", slug=found.slug), 303)
    record("account.viewed_as", person().actor, found.id, role=role)
    begin_viewing(found.slug, role)
    return redirect(url_for("overview.show", account=found.slug), 303)


@blueprint.post("/operator/stop-viewing")
@operator_only
def stop_viewing() -> Response:
    """Back to the console."""
    slug = end_viewing()
    if slug is None:
        return redirect(url_for("operator.accounts"), 303)
    return redirect(url_for("operator.account", slug=slug), 303)

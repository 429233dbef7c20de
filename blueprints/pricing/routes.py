"""Plans and packages, for whoever comes, and the way from there to an account's own plans."""

from flask import Blueprint, current_app, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from blueprints.access import LAST_ACCOUNT, public
from blueprints.safe_redirect import WANTED
from services.accounts.access import first_account_slug
from services.catalog.plans import plans_on_offer

blueprint = Blueprint("pricing", __name__)


@blueprint.get("/pricing")
@blueprint.get("/pricing/<catalog>")
@public
def show(catalog: str | None = None) -> str:
    """The plans of a catalogue, the default one's where none is named. Raises NotFound."""
    offer = plans_on_offer(catalog)
    settings = current_app.extensions["settings"]
    return render_template(
        "pricing/show.html", offer=offer, interval=_interval(), seller_name=settings.seller_name,
        public_links=[_way_on()],
    )  # fmt: skip


@blueprint.get("/plans")
@public
def choose() -> Response:
    """To the plans of one's account; whoever has none yet signs in or up first, and comes back here."""
    if not current_user.is_authenticated:
        here = session[WANTED] = url_for("pricing.choose", interval=_interval())
        return redirect(url_for("auth.sign_in", next=here))
    slug = first_account_slug(current_user.user_id, session.get(LAST_ACCOUNT))
    if slug is None:
        return redirect(url_for("auth.start"))
    return redirect(url_for("billing.plans", account=slug, interval=_interval()))


def _interval() -> str:
    return "year" if request.args.get("interval") == "year" else "month"


def _way_on() -> dict[str, str]:
    if current_user.is_authenticated:
        return {"label": _("Your account"), "href": "/"}
    return {"label": _("Sign in"), "href": url_for("auth.sign_in")}

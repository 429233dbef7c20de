"""Plans and packages, for whoever comes."""

from flask import Blueprint, current_app, render_template, url_for
from flask_babel import gettext as _
from flask_login import current_user

from blueprints.access import public
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
        "pricing/show.html", offer=offer, seller_name=settings.seller_name, public_links=[_way_on()]
    )


def _way_on() -> dict[str, str]:
    if current_user.is_authenticated:
        return {"label": _("Your account"), "href": "/"}
    return {"label": _("Sign in"), "href": url_for("auth.sign_in")}

"""Plans and packages, for whoever comes, and the way from there to an account's own plans."""

import re
from dataclasses import dataclass

from flask import Blueprint, current_app, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from blueprints.access import LAST_ACCOUNT, public
from blueprints.safe_redirect import WANTED
from services.accounts.access import first_account_slug, open_account
from services.billing.subscriptions import subscription_of
from services.catalog.plans import Offer, plans_for, plans_on_offer
from services.usage.advice import advice_for
from services.usage.recommend import Recommendation
from services.usage.report import usage_of

blueprint = Blueprint("pricing", __name__)
PLAN_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class OwnUse:
    """What the visitor's account has and uses of the plans that are shown. ``used``: units by meter."""

    current: str | None
    used: dict[str, int]
    recommendation: Recommendation | None
    has_offers: bool


@blueprint.get("/pricing")
@blueprint.get("/pricing/<catalog>")
@public
def show(catalog: str | None = None) -> str:
    """The plans of a catalogue, the default one's where none is named. Raises NotFound."""
    offer = plans_on_offer(catalog)
    settings = current_app.extensions["settings"]
    return render_template(
        "pricing/show.html", offer=offer, interval=_interval(), seller_name=settings.seller_name,
        own=_own_use(offer), public_links=[_way_on()],
    )  # fmt: skip


@blueprint.get("/plans")
@public
def choose() -> Response:
    """To the plans of one's account; whoever has none yet signs in or up first, and comes back here."""
    if not current_user.is_authenticated:
        here = session[WANTED] = url_for("pricing.choose", plan=_plan(), interval=_interval())
        return redirect(url_for("auth.sign_in", next=here))
    slug = first_account_slug(current_user.user_id, session.get(LAST_ACCOUNT))
    if slug is None:
        return redirect(url_for("auth.start"))
    return redirect(url_for("billing.plans", account=slug, plan=_plan(), interval=_interval()))


def _own_use(offer: Offer | None) -> OwnUse | None:
    """For whoever is signed in to an account that these plans are for; otherwise None."""
    if offer is None or not current_user.is_authenticated:
        return None
    slug = first_account_slug(current_user.user_id, session.get(LAST_ACCOUNT))
    if slug is None:
        return None
    account = open_account(slug, current_user.user_id, is_operator=False)
    plans, subscription = plans_for(account.id), subscription_of(account.id)
    if [plan.plan_id for plan in plans] != [plan.plan_id for plan in offer.plans]:
        return None
    meters = usage_of(account.id).meters
    used = {meter.code: meter.used for meter in meters}
    recommendation = advice_for(account.id, subscription, meters).recommendation
    return OwnUse(subscription.plan, used, recommendation, not subscription.is_stripe)


def _plan() -> str | None:
    """The plan that was chosen, where it can be the code of one."""
    code = request.args.get("plan", "")
    return code if PLAN_CODE.fullmatch(code) else None


def _interval() -> str:
    return "year" if request.args.get("interval") == "year" else "month"


def _way_on() -> dict[str, str]:
    if current_user.is_authenticated:
        return {"label": _("Your account"), "href": "/"}
    return {"label": _("Sign in"), "href": url_for("auth.sign_in")}

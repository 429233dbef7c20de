"""Sign in, sign out, and where a person begins."""

from flask import current_app, flash, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from blueprints import browser_session
from blueprints.access import LAST_ACCOUNT, person, public, signed_in
from blueprints.auth.blueprint import blueprint
from blueprints.auth.forms import SignInForm
from blueprints.forms import add_errors
from blueprints.problems import headers_of
from blueprints.safe_redirect import safe_path
from errors import RateLimited, Unauthorized
from services.accounts.access import first_account_slug
from services.accounts.sign_in import sign_in as sign_in_with_password

Answer = str | Response | tuple[str, int] | tuple[str, int, dict[str, str]]


@blueprint.get("/")
@public
def start() -> Response:
    """The first page: signing in, or the account that was opened last."""
    if not current_user.is_authenticated:
        return redirect(url_for("auth.sign_in"))
    return redirect(_home())


@blueprint.get("/home/")
@signed_in
def home() -> Response:
    """The account that was opened last."""
    return redirect(_home())


@blueprint.get("/sign-in")
@public
def sign_in() -> Answer:
    """The form to sign in with."""
    if current_user.is_authenticated:
        return redirect(safe_path(request.args.get("next")) or _home())
    form = SignInForm(next=safe_path(request.args.get("next")) or "")
    return _sign_in_page(form, 200)


@blueprint.post("/sign-in")
@public
def sign_in_now() -> Answer:
    """Check the password and begin a session."""
    form = SignInForm()
    if not form.validate():
        return _sign_in_page(form, 422)
    try:
        token = sign_in_with_password(form.email.data, form.password.data, browser_session.browser())
    except (Unauthorized, RateLimited) as refusal:
        add_errors(form, refusal)
        status = 429 if isinstance(refusal, RateLimited) else 422
        return *_sign_in_page(form, status), headers_of(refusal)
    target = safe_path(form.next.data) or url_for("auth.start")
    return browser_session.begin(redirect(target, 303), token)


@blueprint.post("/sign-out")
@public
def sign_out() -> Response:
    """End the session; without one there is nothing to do."""
    response = browser_session.end(redirect(url_for("auth.sign_in"), 303))
    flash(_("You are signed out."), "success")
    return response


def _sign_in_page(form: SignInForm, status: int) -> tuple[str, int]:
    may_register = current_app.extensions["settings"].open_registration
    return render_template("auth/sign_in.html", form=form, may_register=may_register), status


def _home() -> str:
    visitor = person()
    slug = first_account_slug(visitor.user_id, session.get(LAST_ACCOUNT))
    if slug:
        return f"/home/{slug}/overview"
    return url_for("operator.figures_page" if visitor.is_operator else "auth.profile")

"""What a one-time link opens: an invitation, a new password, registration, the first operator."""

import functools
import logging

from flask import Response, abort, current_app, flash, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_login import current_user

from blueprints import browser_session, mail
from blueprints.access import public
from blueprints.auth.blueprint import blueprint
from blueprints.auth.forms import (
    AcceptForm,
    EmailForm,
    FirstOperatorForm,
    JoinForm,
    NewPasswordForm,
    RegisterForm,
)
from blueprints.auth.routes import Answer
from blueprints.forms import add_errors
from blueprints.problems import headers_of
from blueprints.safe_redirect import WANTED, safe_path
from errors import Conflict, InvalidRequest, RateLimited
from services.accounts import invitations, registration
from services.accounts.sessions import open_session
from services.accounts.tokens import LinkNotValid

log = logging.getLogger("coffer.links")


def first_operator_link(base_url: str) -> str | None:
    """Write the link that makes its holder the first operator to the log, where nobody is there yet."""
    issued = invitations.first_operator_token()
    if issued is None:
        return None
    link = f"{base_url}/first-operator/{issued.secret}"
    log.warning("There is no user yet. Open this link within an hour to become the operator: %s", link)
    return link


@blueprint.get("/invitation/<token>")
@public
def invitation(token: str) -> Answer:
    """What one is invited to."""
    found = invitations.invitation_of(token)
    form = AcceptForm() if found.has_user else JoinForm()
    return _invitation_page(form, found, 200)


@blueprint.post("/invitation/<token>")
@public
def accept_invitation(token: str) -> Answer:
    """Join the account."""
    found = invitations.invitation_of(token)
    form = AcceptForm() if found.has_user else JoinForm()
    if not form.validate():
        return _invitation_page(form, found, 422)
    try:
        name, password = (form.name.data, form.password.data) if isinstance(form, JoinForm) else ("", None)
        user_id = invitations.accept_invitation(token, name=name, password=password)
    except (InvalidRequest, Conflict) as refusal:
        add_errors(form, refusal)
        return _invitation_page(form, found, 422)
    if found.has_user:
        response = redirect(url_for("auth.start" if current_user.is_authenticated else "auth.sign_in"), 303)
    else:
        response = _signed_in_as(user_id)
    flash(_("You belong to %(account)s now.", account=found.account_name), "success")
    return response


@blueprint.get("/password/forgot")
@public
def forgot_password() -> Answer:
    """The form that asks for a link."""
    return render_template("auth/forgot_password.html", form=EmailForm(), is_sent=False)


@blueprint.post("/password/forgot")
@public
def send_password_reset() -> Answer:
    """Send a link, or not: the answer is the same."""
    return _mailed_link(
        "auth/forgot_password.html", invitations.request_password_reset, mail.send_password_reset
    )


@blueprint.get("/password/reset/<token>")
@public
def reset_password(token: str) -> Answer:
    """The form for a new password."""
    invitations.check_reset(token)
    return render_template("auth/reset_password.html", form=NewPasswordForm())


@blueprint.post("/password/reset/<token>")
@public
def reset_password_now(token: str) -> Answer:
    """Set the new password; every session of the person ends."""
    invitations.check_reset(token)
    form = NewPasswordForm()
    if form.validate():
        try:
            invitations.reset_password(token, form.password.data)
        except InvalidRequest as refusal:
            add_errors(form, refusal)
        else:
            response = browser_session.end(redirect(url_for("auth.sign_in"), 303))
            flash(_("Your password is changed. Sign in with it."), "success")
            return response
    return render_template("auth/reset_password.html", form=form), 422


@blueprint.get("/register")
@public
def register() -> Answer:
    """The form that asks for a link to register with."""
    _require_open_registration()
    return render_template("auth/register.html", form=EmailForm(), is_sent=False)


@blueprint.post("/register")
@public
def send_registration() -> Answer:
    """Send a link, or word that there is an account: the answer is the same."""
    _require_open_registration()
    send = functools.partial(mail.send_registration, wanted=safe_path(session.get(WANTED)))
    return _mailed_link("auth/register.html", registration.request_registration, send)


@blueprint.get("/register/<token>")
@public
def finish_registration(token: str) -> Answer:
    """The form for name, account and password."""
    _require_open_registration()
    email = registration.check_registration(token)
    _remember_plan()
    return render_template("auth/finish_registration.html", form=RegisterForm(), email=email)


@blueprint.post("/register/<token>")
@public
def finish_registration_now(token: str) -> Answer:
    """Make the person and the account."""
    _require_open_registration()
    email = registration.check_registration(token)
    _remember_plan()
    form = RegisterForm()
    if form.validate():
        try:
            user_id = registration.register(
                token, name=form.name.data, password=form.password.data, account_name=form.account_name.data
            )
        except (InvalidRequest, Conflict) as refusal:
            add_errors(form, refusal)
        else:
            return _signed_in_as(user_id)
    return render_template("auth/finish_registration.html", form=form, email=email), 422


@blueprint.get("/first-operator/<token>")
@public
def first_operator(token: str) -> Answer:
    """The form of the first user."""
    invitations.check_first_operator(token)
    return render_template("auth/first_operator.html", form=FirstOperatorForm())


@blueprint.post("/first-operator/<token>")
@public
def create_first_operator(token: str) -> Answer:
    """Make the first user, an operator."""
    invitations.check_first_operator(token)
    form = FirstOperatorForm()
    if form.validate():
        try:
            user_id = invitations.create_first_operator(
                token, form.email.data, form.name.data, form.password.data
            )
        except InvalidRequest as refusal:
            add_errors(form, refusal)
        else:
            return _signed_in_as(user_id)
    return render_template("auth/first_operator.html", form=form), 422


def _mailed_link(template: str, request_link: object, send: object) -> Answer:
    """One form, one answer, the same work, whether or not somebody has the address."""
    form = EmailForm()
    if not form.validate():
        return render_template(template, form=form, is_sent=False), 422
    try:
        issued = request_link(form.email.data, browser_session.browser().address)
    except (InvalidRequest, RateLimited) as refusal:
        add_errors(form, refusal)
        page = render_template(template, form=form, is_sent=False)
        return page, 429 if isinstance(refusal, RateLimited) else 422, headers_of(refusal)
    send(form.email.data.strip(), issued)
    return render_template(template, form=form, is_sent=True)


def _invitation_page(form: object, found: invitations.Invitation, status: int) -> tuple[str, int]:
    if found.account_id is None:
        raise LinkNotValid()
    return render_template("auth/invitation.html", form=form, invitation=found), status


def _signed_in_as(user_id: int) -> Response:
    browser = browser_session.browser()
    token = open_session(user_id, browser.address, browser.user_agent)
    wanted = safe_path(session.pop(WANTED, None))
    return browser_session.begin(redirect(wanted or url_for("auth.start"), 303), token)


def _remember_plan() -> None:
    """What was chosen before the mail was sent comes along in its link; nothing but the plans may."""
    wanted = safe_path(request.args.get("next"))
    if wanted and wanted.partition("?")[0] == url_for("pricing.choose"):
        session[WANTED] = wanted


def _require_open_registration() -> None:
    if not current_app.extensions["settings"].open_registration:
        abort(404)

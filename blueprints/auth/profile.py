"""One's own name, password and open sessions."""

from flask import flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from blueprints import browser_session
from blueprints.access import person, signed_in
from blueprints.auth.blueprint import blueprint
from blueprints.auth.browser_names import browser_name
from blueprints.auth.forms import ChangePasswordForm, NameForm
from blueprints.auth.routes import Answer
from blueprints.forms import add_errors
from blueprints.problems import headers_of
from errors import InvalidRequest, RateLimited
from services.accounts import second_factors, sessions, sign_in, users


@blueprint.get("/profile")
@signed_in
def profile() -> Answer:
    """The page."""
    return _page(_name_form(), ChangePasswordForm(formdata=None), 200)


@blueprint.post("/profile/name")
@signed_in
def rename() -> Answer:
    """Change one's name."""
    form = NameForm()
    if form.validate():
        try:
            users.rename_user(person().user_id, form.name.data, actor=person().actor)
        except InvalidRequest as refusal:
            add_errors(form, refusal)
        else:
            flash(_("Your name is changed."), "success")
            return redirect(url_for("auth.profile"), 303)
    return _page(form, ChangePasswordForm(formdata=None), 422)


@blueprint.post("/profile/password")
@signed_in
def change_password() -> Answer:
    """Change one's password; every other browser is signed out, this one gets a new session."""
    form = ChangePasswordForm()
    if not form.validate():
        return _page(_name_form(), form, 422)
    try:
        token = sign_in.change_password(
            person().user_id, form.current_password.data, form.new_password.data, browser_session.browser()
        )
    except (InvalidRequest, RateLimited) as refusal:
        add_errors(form, refusal)
        status = 429 if isinstance(refusal, RateLimited) else 422
        return *_page(_name_form(), form, status), headers_of(refusal)
    response = browser_session.begin(redirect(url_for("auth.profile"), 303), token)
    flash(_("Your password is changed. Every other browser is signed out."), "success")
    return response


@blueprint.post("/profile/sessions/end")
@signed_in
def end_other_sessions() -> Response:
    """Sign out everywhere else."""
    sessions.revoke_sessions(person().user_id, except_session_id=person().session_id)
    flash(_("You are signed out everywhere else."), "success")
    return redirect(url_for("auth.profile"), 303)


def _name_form() -> NameForm:
    return NameForm(formdata=None, name=person().name)


def _page(name_form: NameForm, password_form: ChangePasswordForm, status: int) -> tuple[str, int]:
    visitor = person()
    open_sessions = sessions.sessions_of(visitor.user_id, visitor.is_operator)
    page = render_template(
        "auth/profile.html",
        name_form=name_form,
        password_form=password_form,
        sessions=open_sessions,
        browsers={one.id: browser_name(one.user_agent) for one in open_sessions},
        session_id=visitor.session_id,
        second_step=second_factors.second_step_of(visitor.user_id),
    )
    return page, status

"""The second step of signing in: giving a code, setting the authenticator up, turning it off."""

import segno
from flask import current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from blueprints import browser_session
from blueprints.access import person, public, signed_in
from blueprints.auth.blueprint import blueprint
from blueprints.auth.forms import CodeForm, TurnOffForm
from blueprints.auth.routes import Answer
from blueprints.forms import add_errors
from blueprints.problems import headers_of
from blueprints.safe_redirect import safe_path
from errors import InvalidRequest, NotFound, RateLimited, Unauthorized
from services.accounts import second_factors, sessions


@blueprint.get("/sign-in/code")
@public
def second_step() -> Answer:
    """The form for the code."""
    if sessions.awaiting_code(_token()) is None:
        return redirect(url_for("auth.sign_in"))
    return render_template(
        "auth/second_step.html", form=CodeForm(next=safe_path(request.args.get("next")) or "")
    )


@blueprint.post("/sign-in/code")
@public
def give_code() -> Answer:
    """Check the code and begin the session that opens everything."""
    form = CodeForm()
    if not form.validate():
        return render_template("auth/second_step.html", form=form), 422
    try:
        token = second_factors.prove(_token(), form.code.data, browser_session.browser())
    except Unauthorized as refusal:
        flash(refusal.detail, "warning")
        return redirect(url_for("auth.sign_in"), 303)
    except (InvalidRequest, RateLimited) as refusal:
        add_errors(form, refusal)
        status = 429 if isinstance(refusal, RateLimited) else 422
        return render_template("auth/second_step.html", form=form), status, headers_of(refusal)
    return browser_session.begin(redirect(safe_path(form.next.data) or url_for("auth.start"), 303), token)


@blueprint.get("/profile/second-step")
@signed_in
def show_second_step() -> Answer:
    """Where the second step stands, with what turns it on or off."""
    return _page(CodeForm(formdata=None), TurnOffForm(formdata=None), 200)


@blueprint.post("/profile/second-step")
@signed_in
def confirm_second_step() -> Answer:
    """Turn it on; the recovery codes are shown this once."""
    form = CodeForm()
    if form.validate():
        try:
            codes = second_factors.confirm_setup(person().user_id, form.code.data)
        except (InvalidRequest, RateLimited) as refusal:
            add_errors(form, refusal)
        except NotFound:
            return redirect(url_for("auth.show_second_step"), 303)
        else:
            return render_template("auth/recovery_codes.html", codes=codes)
    return _page(form, TurnOffForm(formdata=None), 422)


@blueprint.post("/profile/second-step/off")
@signed_in
def turn_off_second_step() -> Answer:
    """Turn it off; the password is asked for."""
    form = TurnOffForm()
    if form.validate():
        try:
            second_factors.turn_off(person().user_id, form.password.data, browser_session.browser())
        except (InvalidRequest, RateLimited) as refusal:
            add_errors(form, refusal)
        else:
            flash(_("The second step is off."), "success")
            return redirect(url_for("auth.profile"), 303)
    return _page(CodeForm(formdata=None), form, 422)


def _token() -> str:
    return request.cookies.get(browser_session.cookie_name(), "")


def _page(code_form: CodeForm, off_form: TurnOffForm, status: int) -> tuple[str, int]:
    is_on = second_factors.second_step_of(person().user_id).is_on
    setup = None if is_on else second_factors.begin_setup(person().user_id, _issuer())
    picture = Markup(_picture(setup.address)) if setup else None
    page = render_template(
        "auth/show_second_step.html", is_on=is_on, setup=setup, picture=picture, code_form=code_form,
        off_form=off_form,
    )  # fmt: skip
    return page, status


def _issuer() -> str:
    return current_app.extensions["settings"].seller_name


def _picture(address: str) -> str:
    """A QR code as SVG, which the page carries itself: the secret goes to no other server."""
    return segno.make(address, micro=False).svg_inline(
        scale=5, border=2, dark="#000", light="#fff", omitsize=False
    )

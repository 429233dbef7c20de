"""The forms of signing in. What a password or an address must be is decided by the services."""

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import EmailField, HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired

NEW_PASSWORD_HELP = _("At least 8 characters. A few words in a row are easy to remember and hard to guess.")


def _required(message: str) -> list[InputRequired]:
    return [InputRequired(message)]


class SignInForm(FlaskForm):
    email = EmailField(_("E-mail"), _required(_("Enter your e-mail address.")))
    password = PasswordField(_("Password"), _required(_("Enter your password.")))
    next = HiddenField()


class CodeForm(FlaskForm):
    code = StringField(_("Code"), _required(_("Enter the code.")))
    next = HiddenField()


class TurnOffForm(FlaskForm):
    password = PasswordField(_("Current password"), _required(_("Enter your current password.")))


class EmailForm(FlaskForm):
    email = EmailField(_("E-mail"), _required(_("Enter your e-mail address.")))


class NewPasswordForm(FlaskForm):
    password = PasswordField(
        _("New password"), _required(_("Choose a password.")), description=NEW_PASSWORD_HELP
    )


class JoinForm(FlaskForm):
    name = StringField(_("Your name"), _required(_("Enter your name.")))
    password = PasswordField(_("Password"), _required(_("Choose a password.")), description=NEW_PASSWORD_HELP)


class AcceptForm(FlaskForm):
    """Nothing to fill in: the person has a name and a password already."""


class RegisterForm(JoinForm):
    account_name = StringField(
        _("Account name"),
        _required(_("Enter a name for the account.")),
        description=_("Your company or team; it can be changed later."),
    )


class FirstOperatorForm(JoinForm):
    email = EmailField(_("E-mail"), _required(_("Enter your e-mail address.")))


class NameForm(FlaskForm):
    name = StringField(_("Your name"), _required(_("Enter your name.")))


class ChangePasswordForm(FlaskForm):
    current_password = PasswordField(_("Current password"), _required(_("Enter your current password.")))
    new_password = PasswordField(
        _("New password"), _required(_("Choose a password.")), description=NEW_PASSWORD_HELP
    )

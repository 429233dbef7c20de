"""Mails of the product: rendered here, sent by the gateway after everything is committed."""

from urllib.parse import quote

from flask import Flask, current_app, render_template
from flask_babel import gettext as _

from config import Settings, SettingsError
from gateways.mailer import Mail, Mailer
from services.accounts.tokens import IssuedToken


def register(app: Flask) -> None:
    """Set the mailer up. Raises SettingsError where SMTP_URL is malformed."""
    settings: Settings = app.extensions["settings"]
    try:
        app.extensions["mailer"] = Mailer(settings.smtp_url.get_secret_value(), settings.mail_from)
    except ValueError as error:
        raise SettingsError(f"SMTP_URL: {error}") from None


def link_to(path: str, secret: str) -> str:
    """The public address of a one-time link; never taken from the request's Host."""
    return f"{_settings().base_url}/{path}/{secret}"


def send_invitation(issued: IssuedToken, account_name: str, inviter_name: str, role: str) -> None:
    """Invite somebody to an account."""
    send(
        "invitation",
        issued.email,
        _("You are invited to %(account)s", account=account_name),
        account_name=account_name,
        inviter_name=inviter_name,
        role={"owner": _("owner"), "member": _("member"), "viewer": _("viewer")}[role],
        link=link_to("invitation", issued.secret),
    )


def send_password_reset(email: str, issued: IssuedToken | None) -> None:
    """Send a link for a new password; where there is none to send, only the same work is done."""
    secret = issued.secret if issued else "none"
    mail = rendered("password_reset", email, _("Set a new password"), link=link_to("password/reset", secret))
    if issued:
        _mailer().send(mail)


def send_registration(email: str, issued: IssuedToken | None, wanted: str | None = None) -> None:
    """Send a link to register with, or word that the address has an account already.

    ``wanted``: the path to come to afterwards; the link may be opened in another browser.
    """
    if issued:
        link = link_to("register", issued.secret) + (f"?next={quote(wanted, safe='')}" if wanted else "")
        send("registration", email, _("Finish signing up"), link=link)
    else:
        link = f"{_settings().base_url}/sign-in"
        send("registered_already", email, _("You have an account already"), link=link)


def send(template: str, to: str, subject: str, **context: object) -> None:
    """Render a mail of ``templates/emails`` and hand it to the gateway."""
    _mailer().send(rendered(template, to, subject, **context))


def rendered(template: str, to: str, subject: str, **context: object) -> Mail:
    """A mail in its two forms. Every link in it holds for an hour."""
    values = {"brand_name": _settings().seller_name, "expires": _("an hour"), **context}
    return Mail(
        to=to,
        subject=subject,
        text=render_template(f"emails/{template}.txt", **values),
        html=render_template(f"emails/{template}.html", **values),
    )


def _settings() -> Settings:
    return current_app.extensions["settings"]


def _mailer() -> Mailer:
    return current_app.extensions["mailer"]

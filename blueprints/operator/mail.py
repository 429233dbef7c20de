"""What mail went out, and a test of the mail server."""

from flask import current_app, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from blueprints.access import operator_only, person
from blueprints.operator.blueprint import blueprint
from gateways.mailer import Mail
from services.audit import record
from services.notices.outbox import mail_log


@blueprint.get("/operator/mail")
@operator_only
def mail_page() -> str:
    """The latest mails of the outbox."""
    has_server = bool(current_app.extensions["settings"].smtp_url.get_secret_value())
    return render_template("operator/mail.html", mails=mail_log(), has_server=has_server)


@blueprint.post("/operator/mail/test")
@operator_only
def send_test_mail() -> Response:
    """Send a mail to whoever asks, now, and say what the server answered."""
    words = _("This is a test of the mail server.")
    mail = Mail(to=person().email, subject=_("Test"), text=words, html=f"<p>{words}</p>")
    outcome, error = current_app.extensions["mailer"].deliver(mail)
    record("mail.tested", person().actor, None, outcome=outcome)
    if outcome == "sent":
        flash(_("The mail to %(address)s was taken.", address=mail.to), "success")
    else:
        flash(_("The mail was not taken: %(error)s", error=error or outcome), "danger")
    return redirect(url_for("operator.mail_page"), 303)

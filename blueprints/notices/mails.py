"""Notices as mails, in the account's language; and the way to get no more of a kind."""

from typing import Any

from flask import current_app, g, render_template
from itsdangerous import BadSignature, URLSafeSerializer

from blueprints.access import declared, public
from blueprints.notices.blueprint import blueprint
from blueprints.notices.words import kind_name, words_of
from errors import NotFound
from extensions import csrf
from gateways.mailer import Mail
from services.notices.kinds import KINDS
from services.notices.notices import unsubscribe as unsubscribe_address
from services.notices.outbox import Due, Outcome, send_due

SALT = "coffer unsubscribe"


def send_queued_mails() -> dict[str, int]:
    """Render and send what waits in the outbox; how many of each outcome."""
    mailer = current_app.extensions["mailer"]

    def send(due: Due) -> tuple[Outcome, str, str | None]:
        mail = _rendered(due)
        outcome, error = mailer.deliver(mail)
        return outcome, mail.subject, error

    return send_due(send)


def _rendered(due: Due) -> Mail:
    settings = current_app.extensions["settings"]
    # A context of its own, so that what is known of the language is not the mail's before.
    with current_app.app_context(), current_app.test_request_context(base_url=settings.base_url):
        g.account = due  # in its language and time zone, as on its pages
        words = words_of(due.notice)
        link = words.path
        if not link.startswith("http"):
            link = f"{settings.base_url}/home/{due.account_slug}/{words.path}"
        leave = ""
        if not KINDS[due.notice.kind].is_about_money_owed:
            token = _serializer().dumps([due.notice.account_id, due.notice.kind, due.recipient.lower()])
            leave = f"{settings.base_url}/unsubscribe/{token}"
        values: dict[str, Any] = {
            "brand_name": settings.seller_name, "account_name": due.account_name, "words": words,
            "link": link, "unsubscribe_url": leave,
        }  # fmt: skip
        return Mail(
            to=due.recipient, subject=f"{due.account_name}: {words.title}",
            text=render_template("emails/notice.txt", **values),
            html=render_template("emails/notice.html", **values), unsubscribe_url=leave,
        )  # fmt: skip


@blueprint.get("/unsubscribe/<token>")
@public
def leave(token: str) -> str:
    """Ask whether no more mails of this kind are wanted."""
    _account_id, kind, address = _told(token)
    return _unsubscribe_page(token, kind, address, is_done=False)


@blueprint.post("/unsubscribe/<token>")
@csrf.exempt
@declared("token:unsubscribe")
def unsubscribe(token: str) -> str:
    """No more of them; mail programs send this by themselves (RFC 8058)."""
    account_id, kind, address = _told(token)
    unsubscribe_address(account_id, kind, address)
    return _unsubscribe_page(token, kind, address, is_done=True)


def _unsubscribe_page(token: str, kind: str, address: str, *, is_done: bool) -> str:
    return render_template(
        "notices/unsubscribe.html", token=token, kind=kind_name(kind), address=address, is_done=is_done,
        public_links=[],
    )  # fmt: skip


def _told(token: str) -> tuple[int, str, str]:
    """What a token stands for. Raises NotFound where it is none of ours."""
    try:
        account_id, kind, address = _serializer().loads(token)
    except (BadSignature, ValueError, TypeError):
        raise NotFound("This link is not valid.") from None
    if kind not in KINDS:
        raise NotFound("This link is not valid.")
    return account_id, kind, address


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt=SALT)

"""The log of mails and the test of the mail server."""

from collections.abc import Callable

from flask import Flask

from services.notices.notices import notify
from tests.conftest import make_account
from tests.visitor import Visitor


def test_the_log_and_a_test_mail(app: Flask, operator: Visitor, actions: Callable[[], list[str]]) -> None:
    assert "No mail has been made yet." in operator.get("/operator/mail").text
    notify(make_account("beta", email="bills@beta.example"), "plan_changed", "k", before="", now="Pro")
    assert "Waiting" in operator.get("/operator/mail").text
    app.extensions["send_queued_mails"]()
    page = operator.get("/operator/mail").text
    assert "Beta: Welcome to Pro" in page and "Sent" in page
    operator.post("/operator/mail/test")
    assert "olive@example.com was taken" in operator.get("/operator/mail").text
    app.extensions["mailer"].deliver = lambda mail: ("temporary", "451 later")
    operator.post("/operator/mail/test")
    assert "451 later" in operator.get("/operator/mail").text
    assert actions()[-2:] == ["mail.tested", "mail.tested"]


def test_others_see_none_of_it(owner: Visitor) -> None:
    assert owner.get("/operator/mail").status_code == 404
    assert owner.post("/operator/mail/test").status_code == 404

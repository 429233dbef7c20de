"""The pages of notices, what is wanted, and leaving a kind of mail."""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from errors import InvalidRequest
from extensions import db
from models.catalog import CreditType
from models.notices import LowBalance, NoticeSetting, OutboxMail, Unsubscribed
from services.notices.kinds import KINDS
from services.notices.notices import configure, notify
from tests.conftest import make_account, make_credit_type
from tests.visitor import OutsideClient, Visitor, fresh, make_person, signed_in

HOME = "/home/acme/notices"
FACTS = {
    "limit_warning": {"name": "API calls", "step": 100, "used": 10, "limit": 10, "blocks": True},
    "low_balance": {"name": "Credits", "scale": 0, "available": 5, "threshold": 50, "credit_type": "credits"},
    "spending_cap": {
        "name": "Credits", "scale": 0, "credit_type": "credits", "step": 100, "used": 30, "cap": 30,
        "resets_at": "2026-03-01T00:00:00Z",
    },
    "credits_expiring": {"name": "Credits", "scale": 0, "amount": 5, "expires_at": "2026-03-01T00:00:00Z"},
    "purchase_receipt": {"what": "1,000 credits", "amount_cents": 3500, "currency": "usd"},
    "overage_charged": {"what": "Extra credits", "amount_cents": 8000, "currency": "usd"},
    "plan_changed": {"before": "Pro", "now": ""},
    "payment_failed": {
        "what": "Pro",
        "reason": "Declined.",
        "amount_cents": 1900,
        "currency": "usd",
        "url": None,
    },
    "webhook_disabled": {"url": "https://hooks.example.com/x", "reason": "Answered 500."},
    "card_needs_confirmation": {
        "what": "Pro",
        "amount_cents": 1900,
        "currency": "usd",
        "url": "https://pay.test/x",
    },
}


@pytest.fixture
def account_id(app: Flask) -> int:
    return make_account("acme", email="bills@acme.example")


@pytest.fixture
def owner(app: Flask, account_id: int) -> Visitor:
    make_person("ann@example.com", account_id)
    return signed_in(app, "ann@example.com")


class TestList:
    def test_every_kind_has_its_words(self, owner: Visitor, account_id: int) -> None:
        for kind in KINDS:
            notify(account_id, kind, kind, **FACTS[kind])
        page = owner.get(HOME).text
        for words in ("API calls: 100 % of your limit", "Credits are running low", "5 Credits expire on Mar 1",
                      "Pro has ended", "$80.00 paid for extra credits", "A payment of $19.00 failed",
                      "https://pay.test/x", "Events are no longer sent to hooks.example.com"):  # fmt: skip
            assert words in page, words
        assert "Receipt: 1,000 credits" not in page  # by mail alone

    def test_the_bell_counts_what_is_new(self, owner: Visitor, account_id: int) -> None:
        notify(account_id, "plan_changed", "k", before="", now="Pro")
        assert "1 new notice" in owner.get("/home/acme/overview").text
        owner.post(f"{HOME}/read")
        assert "new notice" not in owner.get("/home/acme/overview").text

    def test_older_ones_are_a_page_away(self, owner: Visitor, account_id: int) -> None:
        for number in range(27):
            notify(account_id, "plan_changed", str(number), before="", now=f"Plan{number}.")
        page = owner.get(HOME).text
        older = re.search(r'href="([^"]+older_than=\d+)"', page)
        assert older and "Plan26." in page and "Plan1." not in page
        assert "Plan1." in owner.get(older[1]).text


class TestSettings:
    def test_what_is_wanted_is_kept(self, owner: Visitor, account_id: int) -> None:
        form = {"in_app": ["low_balance", "nonsense"], "by_mail": ["low_balance"], "threshold-credits": "50"}
        assert owner.post(f"{HOME}/settings", form).status_code == 303
        fresh()
        kept = {row.kind: (row.in_app, row.by_mail) for row in db.session.scalars(select(NoticeSetting))}
        assert set(kept) == set(KINDS)
        assert kept["low_balance"] == (True, True) and kept["plan_changed"] == (False, False)
        assert kept["payment_failed"] == (False, True)
        assert db.session.scalars(select(LowBalance.threshold)).one() == 50
        assert 'value="50"' in owner.get(f"{HOME}/settings").text

    @pytest.mark.parametrize("wrong", ["x", "-1", "0", "1e99", "NaN", "0.5"])
    def test_a_wrong_threshold_changes_nothing(self, owner: Visitor, wrong: str) -> None:
        assert owner.post(f"{HOME}/settings", {"threshold-credits": wrong}).status_code == 422
        fresh()
        assert db.session.scalar(select(NoticeSetting)) is None

    def test_an_error_keeps_what_was_typed(self, owner: Visitor, account_id: int) -> None:
        make_credit_type("tokens", scale=2)
        assert owner.post(f"{HOME}/settings", {"threshold-tokens": "12.5"}).status_code == 303
        page = owner.post(
            f"{HOME}/settings",
            {"in_app": "low_balance", "threshold-credits": "many", "threshold-tokens": "7.25"},
        ).text
        assert 'value="many"' in page and 'value="7.25"' in page and "Must be a number above zero" in page
        checked = re.findall(r'name="(\w+)" value="(\w+)"[^>]* checked', page)
        assert checked == [("in_app", "low_balance")]
        fresh()
        assert [row.threshold for row in db.session.scalars(select(LowBalance))] == [1250]
        assert 'value="12.5"' in owner.get(f"{HOME}/settings").text

    def test_what_is_refused_late_takes_the_rest_along(self, account_id: int) -> None:
        type_id = db.session.scalar(select(CreditType.id))
        with pytest.raises(InvalidRequest):
            configure(account_id, set(), set(), {type_id: -1}, "user:1")
        assert db.session.scalar(select(NoticeSetting)) is None

    def test_only_owners_set_them(self, app: Flask, account_id: int) -> None:
        make_person("vic@example.com", account_id, "member")
        member = signed_in(app, "vic@example.com")
        assert member.get(HOME).status_code == 200
        assert member.get(f"{HOME}/settings").status_code == 403


class TestUnsubscribing:
    def test_one_click_without_signing_in(self, app: Flask, account_id: int) -> None:
        notify(account_id, "plan_changed", "k", before="", now="Pro")
        sent = []
        app.extensions["mailer"].deliver = lambda mail: (sent.append(mail), ("sent", None))[1]
        app.extensions["send_queued_mails"]()
        path = sent[0].unsubscribe_url.removeprefix(app.extensions["settings"].base_url)
        client = OutsideClient(app, app.response_class)
        assert "bills@acme.example" in client.get(path).text
        answer = client.post(path, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200 and "no more mails" in answer.text
        fresh()
        row = db.session.scalars(select(Unsubscribed)).one()
        assert (row.kind, row.address) == ("plan_changed", "bills@acme.example")
        notify(account_id, "plan_changed", "l", before="", now="Team")
        assert len(db.session.scalars(select(OutboxMail)).all()) == 1

    @pytest.mark.parametrize("token", ["x", "WzEsICJhIiwgImIiXQ.bad", "%00"])
    def test_a_forged_link_is_none(self, app: Flask, token: str) -> None:
        client = OutsideClient(app, app.response_class)
        assert client.get(f"/unsubscribe/{token}").status_code == 404
        assert client.post(f"/unsubscribe/{token}").status_code == 404


class TestMails:
    def test_a_day_is_the_accounts_own(self, app: Flask) -> None:
        """Just after midnight in UTC it is the evening before in New York; each mail speaks its own language."""
        for slug, zone, locale in (
            ("york", "America/New_York", "en-US"), ("seoul", "Asia/Seoul", "en_GB"), ("x", "Mars/Base", "zz")
        ):  # fmt: skip
            account_id = make_account(slug, email=f"bills@{slug}.example", time_zone=zone, locale=locale)
            facts = FACTS["credits_expiring"] | {"expires_at": "2026-03-01T00:30:00Z"}
            notify(account_id, "credits_expiring", "k", **facts)
        sent = []
        app.extensions["mailer"].deliver = lambda mail: (sent.append(mail), ("sent", None))[1]
        assert app.extensions["send_queued_mails"]() == {"sent": 3}
        days = [mail.subject.rpartition(" expire on ")[2] for mail in sent]
        assert days == ["Feb 28, 2026", "1 Mar 2026", "Mar 1, 2026"]

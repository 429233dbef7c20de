"""One account in the console: settings, status, plan, credits."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from extensions import db
from models.accounts import Account
from models.audit import AuditEvent
from models.billing import Subscription
from models.ledger import Grant, Transaction
from services.catalog.presets import load_preset
from services.ledger.balances import balance_of
from tests.blueprints.operator.conftest import form_token
from tests.conftest import make_credit_type
from tests.visitor import Visitor, fresh

PAGE = "/operator/accounts/acme"
STUDIO = Path(__file__).resolve().parents[3] / "catalogs" / "studio.toml"
SETTINGS = {"name": "Acme", "slug": "acme", "time_zone": "UTC", "locale": "en_US"}
BONUS = {"kind": "bonus", "credit_type": "credits", "amount": "50", "description": "Welcome"}


def acme() -> Account:
    fresh()
    return db.session.scalars(select(Account)).one()


def lines() -> list[tuple[str, int, str]]:
    fresh()
    found = db.session.scalars(select(Transaction).order_by(Transaction.id))
    return [(line.type, line.amount, line.description) for line in found]


def token(operator: Visitor) -> str:
    return form_token(operator.get(PAGE).text, "correction-token")


class TestPage:
    def test_it_shows_the_account_and_leads_to_the_customers_pages(
        self, operator: Visitor, account_id: int
    ) -> None:
        page = operator.get(PAGE)
        assert page.status_code == 200
        for part in ("overview", "usage", "billing", "members"):
            assert f'href="/home/acme/{part}"' in page.text

    def test_an_account_that_does_not_exist_is_not_found(self, operator: Visitor) -> None:
        for path in ("", "/settings", "/status", "/plan", "/credits", "/keys", "/keys/1/revoke"):
            answer = operator.post(PAGE + path) if path else operator.get(PAGE)
            assert answer.status_code == 404, path

    def test_others_do_not_see_it(self, owner: Visitor) -> None:
        assert owner.get(PAGE).status_code == 404
        assert owner.post(PAGE + "/credits", BONUS | {"form_token": "t" * 20}).status_code == 404
        assert lines() == []


class TestSettings:
    def test_what_changed_is_kept(self, operator: Visitor, account_id: int, actions) -> None:
        changed = SETTINGS | {"name": "Acme Ltd", "slug": "acme-ltd", "external_id": "c-9"}
        answer = operator.post(PAGE + "/settings", changed)
        assert (answer.status_code, answer.location) == (303, "/operator/accounts/acme-ltd")
        assert (acme().name, acme().slug, acme().external_id) == ("Acme Ltd", "acme-ltd", "c-9")
        assert actions()[-1] == "account.changed"

    def test_an_emptied_field_is_taken_away(self, operator: Visitor, account_id: int) -> None:
        operator.post(PAGE + "/settings", SETTINGS | {"email": "pay@acme.example"})
        assert acme().email == "pay@acme.example"
        operator.post(PAGE + "/settings", SETTINGS | {"email": ""})
        assert acme().email is None

    def test_what_is_wrong_is_said_at_the_field(self, operator: Visitor, account_id: int) -> None:
        answer = operator.post(PAGE + "/settings", SETTINGS | {"name": " ", "time_zone": "Mars"})
        assert answer.status_code == 422 and 'id="name-error"' in answer.text
        answer = operator.post(PAGE + "/settings", SETTINGS | {"time_zone": "Mars"})
        assert answer.status_code == 422 and 'id="time_zone-error"' in answer.text
        assert (acme().name, acme().time_zone) == ("Acme", "UTC")


class TestStatus:
    def test_each_step_asks_first_also_without_javascript(self, operator: Visitor, account_id: int) -> None:
        page = operator.get(PAGE + "?confirm=status-frozen").text
        assert 'id="status-frozen" role="alertdialog"' in page and "open data-open" in page
        assert "Nothing can be spent, held or bought" in page

    def test_freezing_and_thawing(self, operator: Visitor, account_id: int, actions) -> None:
        for status in ("frozen", "past_due", "active"):
            assert operator.post(PAGE + "/status", {"status": status}).status_code == 303
            assert acme().status == status
        assert actions()[-3:] == ["account.changed"] * 3

    @pytest.mark.parametrize("status", ["parked", "gone", ""])
    def test_other_statuses_are_refused(self, operator: Visitor, account_id: int, status: str) -> None:
        answer = operator.post(PAGE + "/status", {"status": status})
        assert answer.status_code == 303
        assert "must be one of" in operator.get(PAGE).text
        assert acme().status == "active"


class TestPlan:
    def test_a_plan_is_given_and_its_credits_granted(self, operator: Visitor, account_id: int) -> None:
        load_preset(STUDIO)
        answer = operator.post(PAGE + "/plan", {"plan": "professional", "interval": "month"})
        assert answer.status_code == 303
        fresh()
        given = db.session.scalars(select(Subscription)).one()
        assert (given.status, given.plan.code, given.interval) == ("comped", "professional", "month")
        assert [line[:2] for line in lines()] == [("subscription", 1000)]
        assert given.actor.startswith("user:")

    @pytest.mark.parametrize(
        "sent", [{}, {"plan": "none", "interval": "month"}, {"plan": "basic", "interval": "day"}]
    )
    def test_a_plan_that_is_not_offered_is_refused(
        self, operator: Visitor, account_id: int, sent: dict[str, str]
    ) -> None:
        load_preset(STUDIO)
        assert operator.post(PAGE + "/plan", sent).status_code == 422
        fresh()
        assert db.session.scalars(select(Subscription)).all() == []


class TestCredits:
    def test_a_bonus_is_booked_and_written_down(self, operator: Visitor, account_id: int, actions) -> None:
        answer = operator.post(PAGE + "/credits", BONUS | {"form_token": token(operator)})
        assert answer.status_code == 303
        assert lines() == [("bonus", 50, "Welcome")]
        assert balance_of(account_id, "credits").permanent == 50
        assert actions()[-1] == "credits.corrected"
        told = db.session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc())).first()
        assert told is not None and told.actor.startswith("user:") and told.account_id == account_id
        assert json.loads(told.details)["amount_units"] == 50

    def test_a_double_submit_books_once(self, operator: Visitor, account_id: int, actions) -> None:
        form = BONUS | {"form_token": token(operator)}
        assert [operator.post(PAGE + "/credits", form).status_code for _ in range(3)] == [303, 303, 303]
        assert lines() == [("bonus", 50, "Welcome")]
        assert actions().count("credits.corrected") == 1

    def test_the_same_form_with_another_amount_is_refused(self, operator: Visitor, account_id: int) -> None:
        form = BONUS | {"form_token": token(operator)}
        operator.post(PAGE + "/credits", form)
        answer = operator.post(PAGE + "/credits", form | {"amount": "70"})
        assert answer.status_code == 422
        assert lines() == [("bonus", 50, "Welcome")]

    def test_adjustments_go_both_ways(self, operator: Visitor, account_id: int) -> None:
        for kind, amount in (("up", "30"), ("down", "12")):
            form = BONUS | {"kind": kind, "amount": amount, "form_token": token(operator)}
            assert operator.post(PAGE + "/credits", form).status_code == 303
        assert [line[:2] for line in lines()] == [("adjustment", 30), ("adjustment", -12)]
        assert balance_of(account_id, "credits").balance == 18

    def test_the_last_day_ends_by_the_accounts_clock(self, operator: Visitor, account_id: int) -> None:
        acme().time_zone = "Asia/Tokyo"
        db.session.commit()
        form = BONUS | {"expires_at": "2090-03-01", "form_token": token(operator)}
        assert operator.post(PAGE + "/credits", form).status_code == 303
        fresh()
        assert db.session.scalars(select(Grant)).one().expires_at == datetime(2090, 3, 1, 15, tzinfo=UTC)

    def test_amounts_are_of_the_credit_types_digits(self, operator: Visitor, account_id: int) -> None:
        make_credit_type("sms", 4, is_money=True, currency="usd")
        form = BONUS | {"credit_type": "sms", "amount": "2.5", "form_token": token(operator)}
        assert operator.post(PAGE + "/credits", form).status_code == 303
        assert lines() == [("bonus", 25_000, "Welcome")]

    def test_more_than_there_is_cannot_be_taken_but_mended(self, operator: Visitor, account_id: int) -> None:
        operator.post(PAGE + "/credits", BONUS | {"form_token": token(operator)})
        refused = operator.post(
            PAGE + "/credits", BONUS | {"kind": "down", "amount": "51", "form_token": token(operator)}
        )
        assert refused.status_code == 422 and 'id="amount-error"' in refused.text
        mended = BONUS | {"kind": "down", "form_token": form_token(refused.text, "correction-token")}
        assert operator.post(PAGE + "/credits", mended).status_code == 303
        assert balance_of(account_id, "credits").balance == 0

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("amount", " "), ("amount", "0"), ("amount", "-5"), ("amount", "1.5"), ("amount", "NaN"),
            ("amount", "1e18"), ("amount", "ten"), ("kind", "gift"), ("credit_type", "gold"),
            ("expires_at", "2001-01-01"), ("expires_at", "soon"), ("expires_at", "9999-12-31"),
            ("correction-description", " "), ("correction-description", "a\x00b"),
            ("correction-description", "x" * 501),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_said_at_the_field(
        self, operator: Visitor, account_id: int, field: str, value: str
    ) -> None:
        name = field.removeprefix("correction-")
        answer = operator.post(PAGE + "/credits", BONUS | {name: value, "form_token": token(operator)})
        assert answer.status_code == 422 and f'id="{field}-error"' in answer.text
        assert lines() == []

    def test_a_parked_account_is_left_as_it_is(self, operator: Visitor, account_id: int) -> None:
        acme().status = "parked"
        db.session.commit()
        answer = operator.post(PAGE + "/credits", BONUS | {"form_token": token(operator)})
        assert answer.status_code == 422 and "it can only be read" in answer.text
        assert lines() == []

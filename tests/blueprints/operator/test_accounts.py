"""The console's list of accounts, and the form that makes one."""

import pytest
from flask import Flask
from sqlalchemy import func, select

from blueprints.operator import routes
from extensions import db
from models.accounts import Account
from models.catalog import Catalog
from services.clock import business_now
from tests.blueprints.operator.conftest import form_token
from tests.conftest import make_account
from tests.visitor import Visitor, fresh

NEW = "/operator/accounts/new"
WHOLE = {"name": "Blue Fish", "kind": "client", "catalogue": "", "time_zone": "UTC", "locale": "en_US"}


def account_named(name: str) -> Account | None:
    fresh()
    return db.session.scalar(select(Account).where(Account.name == name))


def count() -> int:
    fresh()
    return db.session.scalar(select(func.count()).select_from(Account)) or 0


class TestStart:
    def test_an_operator_without_an_account_begins_at_the_console(self, operator: Visitor) -> None:
        assert operator.get("/").location == "/operator"

    def test_the_console_stands_in_an_operators_navigation_alone(
        self, operator: Visitor, owner: Visitor
    ) -> None:
        assert 'href="/operator"' in operator.get("/home/acme/overview").text
        page = owner.get("/home/acme/overview").text
        assert 'href="/operator' not in page and 'href="/home/acme/keys"' in page

    def test_the_navigation_has_at_most_six_entries(self, operator: Visitor, owner: Visitor) -> None:
        assert operator.get("/home/acme/overview").text.count('class="nav-link"') == 6

    def test_the_style_guide_is_drawn(self, operator: Visitor) -> None:
        page = operator.get("/styleguide")
        assert page.status_code == 200 and "Every component in every state" in page.text


class TestList:
    def test_whoever_is_not_signed_in_is_sent_to_sign_in(self, visitor_of: Visitor) -> None:
        assert visitor_of.get("/operator/accounts").location.startswith("/sign-in")

    @pytest.mark.parametrize("path", ["/operator/accounts", NEW, "/operator/keys", "/styleguide"])
    def test_it_does_not_exist_for_others(self, owner: Visitor, path: str) -> None:
        assert owner.get(path).status_code == 404

    def test_without_an_account_it_offers_to_make_one(self, operator: Visitor) -> None:
        page = operator.get("/operator/accounts").text
        assert "There is no account yet." in page and NEW in page

    @pytest.mark.parametrize("search", ["blue f", "BLUE-FISH", "customer-77"])
    def test_a_search_finds_by_name_slug_and_external_id(self, operator: Visitor, search: str) -> None:
        make_account("acme")
        made = make_account("blue-fish", external_id="customer-77")
        db.session.get_one(Account, made).name = "Blue Fish"
        db.session.commit()
        page = operator.get("/operator/accounts", query_string={"search": search}).text
        assert "/operator/accounts/blue-fish" in page and "/operator/accounts/acme" not in page

    @pytest.mark.parametrize("search", ["%", "_", "nothing", "\x00", "a" * 400])
    def test_a_search_that_finds_nothing_says_so(self, operator: Visitor, search: str) -> None:
        make_account("acme")
        page = operator.get("/operator/accounts", query_string={"search": search})
        assert page.status_code == 200 and "holds" in page.text
        assert "/operator/accounts/acme" not in page.text

    def test_pages_turn_forward_and_back(self, operator: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routes, "ACCOUNTS_A_PAGE", 2)
        numbers = [make_account(f"page-{number}") for number in range(5)]
        first = operator.get("/operator/accounts").text
        assert "1–2 of 5" in first and f"older_than={numbers[3]}" in first and 'rel="prev"' not in first
        second = operator.get(f"/operator/accounts?older_than={numbers[3]}&page=2").text
        assert "3–4 of 5" in second and f"newer_than={numbers[2]}" in second
        assert "accounts/page-2" in second and "accounts/page-1" in second
        last = operator.get(f"/operator/accounts?older_than={numbers[1]}&page=3").text
        assert "5–5 of 5" in last and 'rel="next"' not in last
        back = operator.get(f"/operator/accounts?newer_than={numbers[2]}&page=1").text
        assert "accounts/page-4" in back and "accounts/page-3" in back and 'rel="prev"' not in back

    def test_a_position_that_is_no_number_is_left_out(self, operator: Visitor) -> None:
        make_account("acme")
        page = operator.get("/operator/accounts?older_than=x&page=-3&newer_than=99999999999999999999")
        assert page.status_code == 200 and "accounts/acme" in page.text


class TestCreate:
    def test_an_account_is_made_with_all_its_fields(self, operator: Visitor, actions) -> None:
        make_account("big-agency", kind="agency")
        db.session.add(Catalog(code="main", name="Main", currency="chf", created_at=business_now()))
        db.session.commit()
        answer = operator.post(NEW, {
            "name": " Blue Fish ", "slug": "blue", "external_id": "c-7", "email": "Pay@Blue.example",
            "kind": "client", "agency": "big-agency", "catalogue": "main", "time_zone": "Europe/Zurich",
            "locale": "de_CH", "form_token": form_token(operator.get(NEW).text),
        })  # fmt: skip
        assert (answer.status_code, answer.location) == (303, "/operator/accounts/blue")
        made = account_named("Blue Fish")
        assert made is not None and made.agency is not None and made.catalog is not None
        assert (made.slug, made.external_id, made.email) == ("blue", "c-7", "pay@blue.example")
        assert (made.agency.slug, made.catalog.code, made.currency) == ("big-agency", "main", "chf")
        assert (made.time_zone, made.locale, made.kind) == ("Europe/Zurich", "de_CH", "client")
        assert actions()[-1] == "account.created"

    def test_a_form_sent_twice_makes_one(self, operator: Visitor) -> None:
        form = WHOLE | {"form_token": form_token(operator.get(NEW).text)}
        assert operator.post(NEW, form).location == "/operator/accounts/blue-fish"
        assert operator.post(NEW, form).location == "/operator/accounts/blue-fish"
        assert count() == 1

    def test_a_missing_name_is_said_at_the_field(self, operator: Visitor) -> None:
        answer = operator.post(NEW, WHOLE | {"name": " ", "form_token": "t" * 20})
        assert answer.status_code == 422 and "Enter a name." in answer.text
        assert count() == 0

    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("slug", "Not Good", "may have lower case letters"),
            ("slug", "new", "is a reserved word"),
            ("email", "x", "must be an e-mail address"),
            ("time_zone", "Mars", "must be an IANA time zone"),
            ("locale", "xx_YY", "must be a locale"),
            ("agency", "nobody", "there is no agency"),
            ("catalogue", "nothing", "Not a valid choice"),
            ("kind", "king", "Not a valid choice"),
            ("name", "a\x00b", "must not contain control characters"),
        ],
    )
    def test_what_is_wrong_is_said_at_the_field(
        self, operator: Visitor, field: str, value: str, words: str
    ) -> None:
        answer = operator.post(NEW, WHOLE | {field: value, "form_token": "t" * 20})
        assert answer.status_code == 422
        assert f'id="{field}-error"' in answer.text and words in answer.text
        assert count() == 0

    def test_a_taken_slug_is_said_at_the_field_and_can_be_mended(self, operator: Visitor) -> None:
        make_account("acme")
        refused = operator.post(NEW, WHOLE | {"slug": "acme", "form_token": "t" * 20})
        assert refused.status_code == 422 and 'id="slug-error"' in refused.text
        assert count() == 1
        mended = operator.post(NEW, WHOLE | {"slug": "acme-2", "form_token": form_token(refused.text)})
        assert mended.location == "/operator/accounts/acme-2"

    def test_a_known_external_id_leads_to_its_account(self, operator: Visitor) -> None:
        make_account("acme", external_id="c-1")
        answer = operator.post(NEW, WHOLE | {"external_id": "c-1", "form_token": "t" * 20})
        assert answer.location == "/operator/accounts/acme"
        assert count() == 1

    def test_without_the_forms_token_nothing_is_made(self, operator: Visitor) -> None:
        assert operator.post(NEW, WHOLE).status_code == 422
        assert count() == 0


@pytest.fixture
def visitor_of(app: Flask) -> Visitor:
    """Somebody who is not signed in."""
    return Visitor(app)

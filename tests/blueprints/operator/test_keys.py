"""API keys in the console: of one account and of the whole instance."""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from extensions import db
from models.accounts import ApiKey
from services.accounts.api_keys import caller_of, mint
from tests.blueprints.operator.conftest import form_token
from tests.conftest import make_account
from tests.visitor import Visitor, fresh

ACCOUNT, PLATFORM = "/operator/accounts/acme", "/operator/keys"


def keys() -> list[ApiKey]:
    fresh()
    return list(db.session.scalars(select(ApiKey).order_by(ApiKey.id)))


def shown_key(page: str) -> str:
    found = re.search(r'<code id="new-key">(cof_[\w-]+)</code>', page)
    assert found, "no key is shown"
    return found.group(1)


def addresses(place: str) -> tuple[str, str]:
    """Where the form stands, and where it goes."""
    return (PLATFORM, PLATFORM) if place == "platform" else (ACCOUNT, ACCOUNT + "/keys")


@pytest.mark.parametrize("place", ["account", "platform"])
class TestMint:
    def test_a_key_is_shown_once_and_works(
        self, app: Flask, operator: Visitor, account_id: int, place: str, actions
    ) -> None:
        page, action = addresses(place)
        form = {"name": "Billing job", "scopes": ["read", "manage"],
                "form_token": form_token(operator.get(page).text, "key-token")}  # fmt: skip
        answer = operator.post(action, form)
        assert answer.status_code == 201
        token = shown_key(answer.text)
        fresh()
        caller = caller_of(token)
        assert caller.scopes == {"read", "manage"} and caller.is_platform is (place == "platform")
        assert caller.account_id == (None if place == "platform" else account_id)
        assert token not in operator.get(page).text and "Billing job" in operator.get(page).text
        assert actions()[-1] == "key.minted" and keys()[0].created_by.startswith("user:")

    def test_a_form_sent_twice_makes_one(self, operator: Visitor, account_id: int, place: str) -> None:
        page, action = addresses(place)
        form = {"name": "Job", "scopes": "read",
                "form_token": form_token(operator.get(page).text, "key-token")}  # fmt: skip
        assert operator.post(action, form).status_code == 201
        again = operator.post(action, form)
        assert again.status_code == 422 and "sent before" in again.text
        assert len(keys()) == 1

    @pytest.mark.parametrize(
        ("field", "value"),
        [("name", " "), ("name", "x" * 101), ("name", "a\x00b"), ("scopes", []), ("scopes", "all")],
    )
    def test_what_is_wrong_is_said_at_the_field(
        self, operator: Visitor, account_id: int, place: str, field: str, value: object
    ) -> None:
        sent = {"name": "Job", "scopes": "read", "form_token": "t" * 20} | {field: value}
        answer = operator.post(addresses(place)[1], sent)
        assert answer.status_code == 422 and f'id="key-{field}-error"' in answer.text
        assert keys() == []

    def test_without_the_forms_token_there_is_no_key(
        self, operator: Visitor, account_id: int, place: str
    ) -> None:
        answer = operator.post(addresses(place)[1], {"name": "Job", "scopes": "read"})
        assert answer.status_code == 422
        assert keys() == []

    def test_others_make_none(self, owner: Visitor, place: str) -> None:
        sent = {"name": "Job", "scopes": "read", "form_token": "t" * 20}
        assert owner.post(addresses(place)[1], sent).status_code == 404
        assert keys() == []


class TestRevoke:
    def test_it_asks_first_also_without_javascript(self, operator: Visitor, account_id: int) -> None:
        key = mint(account_id, "command", name="Job")
        page = operator.get(f"{ACCOUNT}?confirm=key-{key.key_id}").text
        assert f'id="key-{key.key_id}" role="alertdialog"' in page and "open data-open" in page

    def test_a_key_of_the_account_ends(self, operator: Visitor, account_id: int, actions) -> None:
        key = mint(account_id, "command")
        assert operator.post(f"{ACCOUNT}/keys/{key.key_id}/revoke").status_code == 303
        assert keys()[0].revoked_at is not None
        assert actions()[-1] == "key.revoked" and "Revoked" in operator.get(ACCOUNT).text

    def test_a_platform_key_ends(self, operator: Visitor) -> None:
        key = mint(None, "command")
        assert operator.post(f"{PLATFORM}/{key.key_id}/revoke").status_code == 303
        assert keys()[0].revoked_at is not None

    def test_keys_of_others_are_not_found_there(self, operator: Visitor, account_id: int) -> None:
        theirs, platform = mint(make_account("other"), "command"), mint(None, "command")
        for key_id in (theirs.key_id, platform.key_id, 999_999):
            assert operator.post(f"{ACCOUNT}/keys/{key_id}/revoke").status_code == 404
        for key_id in (theirs.key_id, 10**25):
            assert operator.post(f"{PLATFORM}/{key_id}/revoke").status_code == 404
        assert [key.revoked_at for key in keys()] == [None, None]

    def test_only_platform_keys_are_listed_there(self, operator: Visitor, account_id: int) -> None:
        mint(account_id, "command", name="Of acme")
        mint(None, "command", name="Of all")
        page = operator.get(PLATFORM).text
        assert "Of all" in page and "Of acme" not in page

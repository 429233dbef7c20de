"""The keys that owners make for themselves: they read, and nothing else."""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from extensions import db
from models.accounts import ApiKey
from services.accounts.api_keys import caller_of, mint
from tests.conftest import make_account
from tests.visitor import Visitor, fresh, make_person, signed_in

PAGE = "/home/acme/keys"


@pytest.fixture
def account_id(app: Flask) -> int:
    return make_account("acme")


@pytest.fixture
def ann(app: Flask, account_id: int) -> Visitor:
    """The owner of acme, signed in."""
    make_person("ann@example.com", account_id)
    return signed_in(app, "ann@example.com")


def keys() -> list[ApiKey]:
    fresh()
    return list(db.session.scalars(select(ApiKey).order_by(ApiKey.id)))


def form(ann: Visitor, **values: object) -> dict[str, object]:
    found = re.search(r'id="key-token" name="form_token" type="hidden" value="([^"]+)"', ann.get(PAGE).text)
    assert found
    return {"name": "Dashboard", "form_token": found.group(1)} | values


class TestMint:
    def test_a_key_is_shown_once_and_only_reads(self, ann: Visitor, account_id: int) -> None:
        answer = ann.post(PAGE, form(ann, scopes=["read", "spend", "manage"]))
        assert answer.status_code == 201
        found = re.search(r'<code id="new-key">(cof_[\w-]+)</code>', answer.text)
        assert found
        fresh()
        caller = caller_of(found.group(1))
        assert (caller.account_id, caller.scopes) == (account_id, {"read"})
        assert found.group(1) not in ann.get(PAGE).text

    def test_a_form_sent_twice_makes_one(self, ann: Visitor) -> None:
        sent = form(ann)
        assert [ann.post(PAGE, sent).status_code for _ in range(2)] == [201, 422]
        assert len(keys()) == 1

    @pytest.mark.parametrize("name", [" ", "x" * 101, "a\x07b"])
    def test_a_name_that_is_none_is_refused(self, ann: Visitor, name: str) -> None:
        answer = ann.post(PAGE, form(ann, name=name))
        assert answer.status_code == 422 and 'id="key-name-error"' in answer.text
        assert keys() == []

    @pytest.mark.parametrize("role", ["member", "viewer"])
    def test_only_owners_may(self, app: Flask, account_id: int, role: str) -> None:
        make_person("bob@example.com", account_id, role)
        bob = signed_in(app, "bob@example.com")
        assert bob.get(PAGE).status_code == 403
        assert bob.post(PAGE, {"name": "Mine", "form_token": "t" * 20}).status_code == 403
        assert PAGE not in bob.get("/home/acme/overview").text
        assert keys() == []

    def test_strangers_find_nothing_and_anonymous_sign_in(self, app: Flask, ann: Visitor) -> None:
        make_person("eve@example.com", make_account("other"))
        assert signed_in(app, "eve@example.com").get(PAGE).status_code == 404
        assert Visitor(app).get(PAGE).location.startswith("/sign-in")


class TestRevoke:
    def test_ones_own_key_ends(self, ann: Visitor, account_id: int) -> None:
        key = mint(account_id, "user:1", ("read",))
        assert f'action="{PAGE}/{key.key_id}/revoke"' in ann.get(f"{PAGE}?confirm=key-{key.key_id}").text
        assert ann.post(f"{PAGE}/{key.key_id}/revoke").status_code == 303
        assert keys()[0].revoked_at is not None

    def test_a_key_that_spends_is_the_operators_to_end(self, ann: Visitor, account_id: int) -> None:
        key = mint(account_id, "command", name="Product")
        page = ann.get(PAGE).text
        assert "Product" in page and f"/keys/{key.key_id}/revoke" not in page
        assert ann.post(f"{PAGE}/{key.key_id}/revoke").status_code == 403
        assert keys()[0].revoked_at is None

    def test_keys_of_others_are_not_found(self, ann: Visitor) -> None:
        theirs, platform = mint(make_account("other"), "command", ("read",)), mint(None, "command", ("read",))
        for key_id in (theirs.key_id, platform.key_id, 999_999):
            assert ann.post(f"{PAGE}/{key_id}/revoke").status_code == 404
        assert [key.revoked_at for key in keys()] == [None, None]

"""Accounts: names, idempotent making, changes; on both databases."""

import pytest
from sqlalchemy import select

from errors import Conflict, InvalidRequest, NotFound
from extensions import db
from models.accounts import Account, AccountName
from models.catalog import Catalog
from services.accounts.accounts import (
    NewAccount,
    account_by_name,
    create_account,
    find_accounts,
    update_account,
)
from services.clock import business_now


def names():
    return {(n.name, n.kind) for n in db.session.scalars(select(AccountName))}


class TestCreate:
    def test_same_external_id_finds_the_account(self, either_app):
        first, created = create_account(NewAccount(name="Acme", external_id="u-1"))
        again, created_again = create_account(NewAccount(name="Other name", external_id="u-1"))
        assert (created, created_again, again) == (True, False, first)
        assert names() == {("acme", "slug"), ("u-1", "external_id")}

    def test_slug_that_is_the_external_id_is_one_name(self, either_app):
        account, _ = create_account(NewAccount(name="Acme", external_id="acme"))
        assert (account.slug, names()) == ("acme", {("acme", "slug")})

    def test_external_id_that_is_anothers_slug_is_a_conflict(self, either_app):
        create_account(NewAccount(name="Acme"))
        with pytest.raises(Conflict):
            create_account(NewAccount(name="B", external_id="acme"))
        assert db.session.scalars(select(Account.slug)).all() == ["acme"]

    def test_takes_the_default_catalogue_and_its_currency(self, app):
        db.session.add(
            Catalog(code="main", name="Main", currency="chf", is_default=True, created_at=business_now())
        )
        db.session.commit()
        account, _ = create_account(NewAccount(name="Acme"))
        assert (account.catalogue, account.currency) == ("main", "chf")

    def test_every_wrong_field_is_named(self, app):
        with pytest.raises(InvalidRequest) as refused:
            create_account(NewAccount(name="", time_zone="x", locale="x", email="x"))
        assert {e.field for e in refused.value.errors} == {"name", "time_zone", "locale", "email"}

    def test_public_ids_are_random(self, app):
        ids = {create_account(NewAccount(name="A"))[0].public_id for _ in range(12)}
        assert len(ids) == 12 and all(len(i) == 24 for i in ids)
        assert len(names()) == 12


class TestUpdate:
    def test_old_names_are_free_again(self, either_app):
        account, _ = create_account(NewAccount(name="Acme", external_id="u-1"))
        update_account(account.id, {"slug": "u-1", "external_id": "acme"})
        assert names() == {("u-1", "slug"), ("acme", "external_id")}
        update_account(account.id, {"external_id": None})
        assert create_account(NewAccount(name="Acme"))[0].slug == "acme"

    def test_missing_account(self, app):
        with pytest.raises(NotFound):
            update_account(99, {"name": "x"})


class TestByName:
    def test_slug_and_external_id(self, app):
        account, _ = create_account(NewAccount(name="Acme", external_id="u-1"))
        assert account_by_name("acme") == account_by_name("u-1") == account.id

    @pytest.mark.parametrize("name", ["", "nobody", "a\x00", "x" * 10_000])
    def test_unknown_names(self, either_app, name):
        with pytest.raises(NotFound):
            account_by_name(name)


class TestFind:
    def test_by_name_slug_and_external_id_whatever_the_case(self, either_app):
        create_account(NewAccount(name="Blue Fish", slug="bf", external_id="Customer-77"))
        create_account(NewAccount(name="Acme"))
        for search in ("BLUE", "Bf", "customer-7"):
            found = find_accounts(search)
            assert ([a.slug for a in found.accounts], found.total) == (["bf"], 1), search

    def test_signs_with_a_meaning_in_sql_mean_themselves(self, either_app):
        create_account(NewAccount(name="100% juice", slug="juice"))
        create_account(NewAccount(name="Acme"))
        assert [a.slug for a in find_accounts("%").accounts] == ["juice"]
        assert find_accounts("_").accounts == find_accounts("\x00").accounts == []

    def test_pages_turn_forward_and_back(self, either_app):
        ids = [create_account(NewAccount(name=f"A{number}"))[0].id for number in range(5)]
        first = find_accounts(limit=2)
        assert [a.id for a in first.accounts] == [ids[4], ids[3]]
        assert (first.total, first.previous_cursor, first.next_cursor) == (5, None, ids[3])
        second = find_accounts(limit=2, older_than=first.next_cursor)
        assert [a.id for a in second.accounts] == [ids[2], ids[1]]
        last = find_accounts(limit=2, older_than=second.next_cursor)
        assert ([a.id for a in last.accounts], last.next_cursor) == ([ids[0]], None)
        back = find_accounts(limit=2, newer_than=second.previous_cursor)
        assert back == first

    def test_a_reserved_word_is_no_slug(self, either_app):
        with pytest.raises(InvalidRequest):
            create_account(NewAccount(name="A", slug="new"))
        assert create_account(NewAccount(name="New"))[0].slug == "new-2"

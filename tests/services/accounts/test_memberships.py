"""Members of an account, and that it keeps an owner."""

import pytest
from flask import Flask

from errors import Conflict, InvalidRequest, NotFound
from extensions import db
from models.accounts import Membership, User
from models.audit import AuditEvent
from services.accounts import memberships, sessions, users
from services.accounts.access import first_account_slug, open_account
from tests.conftest import make_account
from tests.visitor import PASSWORD, fresh, make_person


@pytest.fixture
def account_id(app: Flask) -> int:
    return make_account("acme")


def ids_of(account_id: int) -> dict[str, int]:
    return {member.email: member.id for member in memberships.members_of(account_id)}


class TestCreateMember:
    def test_an_unknown_account_leaves_no_person_behind(self, app: Flask) -> None:
        with pytest.raises(NotFound):
            memberships.create_member("a@example.com", PASSWORD, account_id=999, actor="command")
        assert db.session.query(User).count() == 0

    def test_a_taken_address_in_any_case_is_a_conflict(self, app: Flask) -> None:
        make_person("ann@example.com")
        with pytest.raises(Conflict):
            make_person("Ann@Example.com")
        assert db.session.query(User).count() == 1

    @pytest.mark.parametrize(
        "email", ["", "ann", "ann@", "@example.com", "a b@example.com", "a@b@c.de", "x" * 400]
    )
    def test_what_is_no_address_is_refused_naming_the_field(self, app: Flask, email: str) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            make_person(email)
        assert refusal.value.errors[0].field == "email"


class TestChangeRole:
    def test_the_last_owner_stays_one(self, account_id: int) -> None:
        make_person("ann@example.com", account_id)
        with pytest.raises(Conflict):
            memberships.change_role(
                account_id, ids_of(account_id)["ann@example.com"], "viewer", actor="command"
            )
        assert db.session.query(Membership).one().role == "owner"

    def test_a_disabled_owner_does_not_count(self, account_id: int) -> None:
        make_person("ann@example.com", account_id)
        users.disable_user(make_person("bob@example.com", account_id), actor="command")
        with pytest.raises(Conflict):
            memberships.remove_member(account_id, ids_of(account_id)["ann@example.com"], actor="command")

    def test_another_role_ends_the_sessions_and_is_audited(self, account_id: int) -> None:
        make_person("ann@example.com", account_id)
        bob = make_person("bob@example.com", account_id, "member")
        token = sessions.open_session(bob, "", "")
        memberships.change_role(account_id, ids_of(account_id)["bob@example.com"], "viewer", actor="user:1")
        assert sessions.find_session(token) is None
        event = db.session.query(AuditEvent).filter_by(action="membership.role_changed").one()
        assert (event.actor, event.account_id) == ("user:1", account_id)
        assert "example.com" not in event.details

    def test_a_member_of_another_account_is_not_found(self, account_id: int) -> None:
        other = make_account("other")
        make_person("ann@example.com", account_id)
        make_person("bob@example.com", other)
        with pytest.raises(NotFound):
            memberships.remove_member(account_id, ids_of(other)["bob@example.com"], actor="command")
        assert db.session.query(Membership).count() == 2

    def test_an_unknown_role_is_refused(self, account_id: int) -> None:
        make_person("ann@example.com", account_id)
        with pytest.raises(InvalidRequest):
            memberships.change_role(
                account_id, ids_of(account_id)["ann@example.com"], "king", actor="command"
            )


class TestOpenAccount:
    def test_not_mine_and_not_there_are_refused_in_the_same_words(self, account_id: int) -> None:
        stranger = make_person("eve@example.com", make_account("other"))
        refusals = []
        for slug in ("acme", "nothing"):
            with pytest.raises(NotFound) as refusal:
                open_account(slug, stranger, False)
            refusals.append(refusal.value.problem())
        assert refusals[0] == refusals[1]

    def test_an_operator_opens_every_account_as_an_owner(self, account_id: int) -> None:
        operator = make_person("op@example.com", is_operator=True)
        assert open_account("acme", operator, True, "owner").role == "owner"

    def test_people_begin_where_they_were_last(self, account_id: int) -> None:
        ann = make_person("ann@example.com", make_account("zebra"))
        memberships.add_member(ann, account_id, "viewer", actor="command")
        fresh()
        assert first_account_slug(ann) == "acme"
        assert first_account_slug(ann, "zebra") == "zebra"
        assert first_account_slug(ann, "not-mine") == "acme"
        assert first_account_slug(make_person("new@example.com")) is None

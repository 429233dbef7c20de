"""One-time links: hashed, once, an hour."""

import threading
from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from errors import CofferError, Conflict, InvalidRequest, NotFound
from extensions import db
from models.accounts import Membership, OneTimeToken, User
from services.accounts import invitations, memberships, passwords, sessions, users
from services.accounts.sign_in import Browser, sign_in
from services.accounts.tokens import LinkNotValid
from services.clock import wall_now
from tests.conftest import make_account
from tests.visitor import PASSWORD, fresh, make_person

NEW_PASSWORD = "another quiet morning"


@pytest.fixture
def account_id(app: Flask) -> int:
    return make_account("acme")


def invite(account_id: int, email: str = "ann@example.com", role: str = "member") -> str:
    return invitations.invite(account_id, email, role, actor="command", created_by_id=None).secret


class TestInvitation:
    def test_accepted_it_makes_a_person_with_the_role(self, account_id: int) -> None:
        user_id = invitations.accept_invitation(invite(account_id), name="Ann", password=PASSWORD)
        row = db.session.query(Membership).one()
        assert (row.user_id, row.account_id, row.role) == (user_id, account_id, "member")
        assert sign_in("ann@example.com", PASSWORD, Browser("203.0.113.7"))

    def test_only_its_hash_is_kept(self, account_id: int) -> None:
        secret = invite(account_id)
        assert secret not in str(db.session.query(OneTimeToken).one().__dict__)

    def test_it_works_once(self, account_id: int) -> None:
        secret = invite(account_id)
        invitations.accept_invitation(secret, name="Ann", password=PASSWORD)
        with pytest.raises(NotFound):
            invitations.accept_invitation(secret, name="Ann", password=PASSWORD)
        assert db.session.query(User).count() == 1

    def test_it_ends_after_an_hour(self, account_id: int) -> None:
        secret = invite(account_id)
        with time_machine.travel(wall_now() + timedelta(minutes=59, seconds=50)):
            assert invitations.invitation_of(secret).role == "member"
        with time_machine.travel(wall_now() + timedelta(hours=1)):
            for attempt in (invitations.invitation_of, invitations.accept_invitation):
                with pytest.raises(NotFound):
                    attempt(secret)
        assert db.session.query(User).count() == 0

    def test_a_new_one_replaces_the_old_one(self, account_id: int) -> None:
        first, second = invite(account_id), invite(account_id, role="viewer")
        with pytest.raises(NotFound):
            invitations.invitation_of(first)
        assert invitations.invitation_of(second).role == "viewer"
        assert len(invitations.pending_invitations(account_id)) == 1

    def test_withdrawn_it_opens_nothing(self, account_id: int) -> None:
        secret = invite(account_id)
        (pending,) = invitations.pending_invitations(account_id)
        with pytest.raises(NotFound):
            invitations.cancel_invitation(make_account("other"), pending.id, actor="command")
        invitations.cancel_invitation(account_id, pending.id, actor="command")
        with pytest.raises(NotFound):
            invitations.invitation_of(secret)

    def test_whoever_has_a_password_keeps_it(self, account_id: int) -> None:
        make_person("ann@example.com")
        before = db.session.query(User).one().password_hash
        secret = invite(account_id)
        assert invitations.invitation_of(secret).has_user
        invitations.accept_invitation(secret, name="Mallory", password=NEW_PASSWORD)
        fresh()
        user = db.session.query(User).one()
        assert (user.password_hash, user.name) == (before, "Ann")

    def test_a_weak_password_leaves_the_link_open(self, account_id: int) -> None:
        secret = invite(account_id)
        with pytest.raises(InvalidRequest):
            invitations.accept_invitation(secret, name="Ann", password="password1")
        assert invitations.accept_invitation(secret, name="Ann", password=PASSWORD)

    def test_a_member_is_not_invited_again(self, account_id: int) -> None:
        make_person("ann@example.com", account_id)
        with pytest.raises(InvalidRequest):
            invite(account_id, "Ann@example.com")

    def test_eight_at_once_make_one_person(self, either_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(passwords, "hash_password", lambda _password: "scrypt:made-quickly")
        secret = invite(make_account("acme"))
        outcomes: list[object] = []

        def accept() -> None:
            with either_app.app_context():
                try:
                    outcomes.append(invitations.accept_invitation(secret, name="Ann", password=PASSWORD))
                except CofferError as error:
                    outcomes.append(type(error))

        threads = [threading.Thread(target=accept) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        fresh()
        assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
        assert {o for o in outcomes if not isinstance(o, int)} <= {LinkNotValid, Conflict}
        assert (db.session.query(User).count(), db.session.query(Membership).count()) == (1, 1)


class TestPasswordReset:
    def test_it_sets_the_password_and_ends_every_session_and_every_other_link(self, app: Flask) -> None:
        user_id = make_person("ann@example.com")
        token = sessions.open_session(user_id, "", "")
        first, second = (
            invitations.request_password_reset("Ann@Example.com", "203.0.113.7") for _ in range(2)
        )
        assert first is not None and second is not None
        invitations.reset_password(first.secret, NEW_PASSWORD)
        assert sessions.find_session(token) is None
        for secret in (first.secret, second.secret):
            with pytest.raises(NotFound):
                invitations.reset_password(secret, PASSWORD)
        fresh()
        assert passwords.is_right(NEW_PASSWORD, db.session.query(User).one().password_hash)

    def test_for_nobody_the_same_rows_are_written_and_no_link_is_made(self, app: Flask) -> None:
        assert invitations.request_password_reset("nobody@example.com", "203.0.113.7") is None
        row = db.session.query(OneTimeToken).one()
        assert (row.email, row.user_id, row.used_at is not None) == ("", None, True)

    def test_a_disabled_person_gets_none(self, app: Flask) -> None:
        user_id = make_person("ann@example.com")
        issued = invitations.request_password_reset("ann@example.com", "203.0.113.7")
        db.session.rollback()
        users.disable_user(user_id, actor="command")
        assert issued is not None
        with pytest.raises(NotFound):
            invitations.reset_password(issued.secret, NEW_PASSWORD)
        assert invitations.request_password_reset("ann@example.com", "203.0.113.7") is None

    def test_a_link_of_another_purpose_resets_nothing(self, account_id: int) -> None:
        with pytest.raises(NotFound):
            invitations.reset_password(invite(account_id), NEW_PASSWORD)


class TestFirstOperator:
    def test_it_makes_an_operator_once(self, app: Flask) -> None:
        issued = invitations.first_operator_token()
        assert issued is not None
        invitations.create_first_operator(issued.secret, "op@example.com", "Op", PASSWORD)
        user = db.session.query(User).one()
        assert user.is_operator and user.email == "op@example.com"
        with pytest.raises(NotFound):
            invitations.create_first_operator(issued.secret, "two@example.com", "Two", PASSWORD)

    def test_a_new_start_makes_the_old_link_void(self, app: Flask) -> None:
        first, second = invitations.first_operator_token(), invitations.first_operator_token()
        assert first and second
        with pytest.raises(NotFound):
            invitations.check_first_operator(first.secret)
        invitations.check_first_operator(second.secret)

    def test_once_somebody_is_there_no_link_is_made_and_an_open_one_is_void(self, app: Flask) -> None:
        issued = invitations.first_operator_token()
        make_person("ann@example.com")
        assert issued is not None
        with pytest.raises(NotFound):
            invitations.create_first_operator(issued.secret, "op@example.com", "Op", PASSWORD)
        assert invitations.first_operator_token() is None
        assert db.session.query(User).count() == 1


def test_the_last_operator_cannot_be_disabled(app: Flask) -> None:
    operator = make_person("op@example.com", is_operator=True)
    with pytest.raises(Conflict):
        users.disable_user(operator, actor="command")
    make_person("two@example.com", is_operator=True)
    users.disable_user(operator, actor="command")
    assert memberships.belongings_of(operator) == []

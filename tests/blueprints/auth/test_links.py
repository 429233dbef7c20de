"""One-time links in a browser: invitation, password, registration, first operator."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask

from blueprints.auth.links import first_operator_link
from extensions import db
from models.accounts import Account, Membership, OneTimeToken, User
from services.accounts import memberships
from services.clock import wall_now
from tests.blueprints.auth.conftest import Outbox
from tests.conftest import make_account, running_app, settings_for
from tests.visitor import PASSWORD, Visitor, fresh, make_person, signed_in

NEW_PASSWORD = "another quiet morning"


class TestInvitation:
    def invite(
        self, ann: Visitor, outbox: Outbox, email: str = "bob@example.com", role: str = "member"
    ) -> str:
        answer = ann.post("/home/acme/members/invite", {"email": email, "role": role})
        assert answer.status_code == 303, answer.text
        return outbox.path()

    def test_it_comes_by_mail_and_lets_one_person_in_once(
        self, ann: Visitor, visitor: Visitor, outbox: Outbox
    ) -> None:
        path = self.invite(ann, outbox)
        assert "To join" not in visitor.get(path).text and "Join Acme" in visitor.get(path).text
        answer = visitor.post(path, {"name": "Bob", "password": PASSWORD})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        assert visitor.get("/").headers["Location"] == "/home/acme/overview"
        assert visitor.get(path).status_code == 404
        fresh()
        assert {m.role for m in db.session.query(Membership)} == {"owner", "member"}

    @pytest.mark.parametrize(
        ("data", "field"),
        [
            ({"name": "", "password": PASSWORD}, "name"),
            ({"name": "Bob", "password": "short"}, "password"),
            ({"name": "Bob", "password": "password1"}, "password"),
            ({"name": "x" * 300, "password": PASSWORD}, "name"),
            ({}, "name"),
        ],
    )
    def test_what_is_wrong_is_named_and_the_link_stays_open(
        self, ann: Visitor, visitor: Visitor, outbox: Outbox, data: dict[str, str], field: str
    ) -> None:
        path = self.invite(ann, outbox)
        answer = visitor.post(path, data)
        assert answer.status_code == 422 and f'href="#{field}"' in answer.text
        assert visitor.get(path).status_code == 200
        assert db.session.query(User).count() == 1

    def test_who_has_a_password_joins_without_setting_one_and_is_not_signed_in_by_the_link(
        self, ann: Visitor, visitor: Visitor, outbox: Outbox
    ) -> None:
        make_person("bob@example.com")
        path = self.invite(ann, outbox)
        assert 'name="password"' not in visitor.get(path).text
        assert visitor.post(path).headers["Location"] == "/sign-in"
        assert not visitor.is_signed_in()
        fresh()
        assert db.session.query(Membership).count() == 2

    def test_an_address_that_is_none_and_a_role_that_is_none_are_named(self, ann: Visitor) -> None:
        for data, field in (
            ({"email": "bob", "role": "member"}, "email"),
            ({"email": "b@c.de", "role": "king"}, "role"),
        ):
            answer = ann.post("/home/acme/members/invite", data)
            assert answer.status_code == 422 and f'href="#{field}"' in answer.text
        assert db.session.query(OneTimeToken).count() == 0


class TestPasswordReset:
    def test_known_and_unknown_addresses_get_the_same_page_and_only_one_a_mail(
        self, ann: Visitor, visitor: Visitor, outbox: Outbox
    ) -> None:
        pages = [
            visitor.post("/password/forgot", {"email": e}) for e in ("nobody@example.com", "ann@example.com")
        ]
        assert pages[0].status_code == pages[1].status_code == 200
        assert pages[0].text.split("<main")[1] == pages[1].text.split("<main")[1]
        assert len(outbox.texts()) == 1
        assert db.session.query(OneTimeToken).count() == 2

    def test_the_link_sets_a_password_once_and_signs_everybody_out(
        self, ann: Visitor, visitor: Visitor, outbox: Outbox
    ) -> None:
        visitor.post("/password/forgot", {"email": " Ann@Example.com "})
        path = outbox.path()
        assert visitor.get(path).status_code == 200
        assert visitor.post(path, {"password": "short"}).status_code == 422
        assert visitor.post(path, {"password": NEW_PASSWORD}).headers["Location"] == "/sign-in"
        assert not ann.is_signed_in()
        assert visitor.post(path, {"password": PASSWORD}).status_code == 404
        assert visitor.sign_in("ann@example.com").status_code == 422
        assert visitor.sign_in("ann@example.com", NEW_PASSWORD).status_code == 303

    def test_after_an_hour_the_link_says_that_it_is_old(
        self, ann: Visitor, visitor: Visitor, outbox: Outbox
    ) -> None:
        visitor.post("/password/forgot", {"email": "ann@example.com"})
        with time_machine.travel(wall_now() + timedelta(hours=1, seconds=1)):
            answer = visitor.get(outbox.path())
        assert answer.status_code == 404 and "older than an hour" in answer.text

    def test_the_link_never_follows_the_requests_host(
        self, ann: Visitor, visitor: Visitor, outbox: Outbox
    ) -> None:
        visitor.post(
            "/password/forgot", {"email": "ann@example.com"}, headers={"X-Forwarded-Host": "evil.example"}
        )
        assert "evil.example" not in outbox.texts()[-1]

    def test_asking_is_limited(self, ann: Visitor, visitor: Visitor, outbox: Outbox) -> None:
        statuses = [
            visitor.post("/password/forgot", {"email": "ann@example.com"}).status_code for _ in range(6)
        ]
        assert statuses == [200] * 5 + [429]
        assert len(outbox.texts()) == 5


class TestRegistration:
    @pytest.fixture
    def open_app(self, tmp_path: Path) -> Iterator[Flask]:
        yield from running_app(settings_for(tmp_path, open_registration=True))

    def test_it_is_closed_unless_the_instance_says_so(self, visitor: Visitor) -> None:
        assert visitor.get("/register").status_code == 404
        assert visitor.post("/register", {"email": "a@example.com"}).status_code == 404
        assert "/register" not in visitor.get("/sign-in").text

    def test_it_makes_a_person_and_an_account_that_the_person_owns(
        self, open_app: Flask, outbox: Outbox
    ) -> None:
        visitor = Visitor(open_app)
        assert visitor.post("/register", {"email": "new@example.com"}).status_code == 200
        answer = visitor.post(
            outbox.path(), {"name": "Nora", "account_name": "Nora & Co", "password": PASSWORD}
        )
        assert answer.status_code == 303 and visitor.is_signed_in()
        account = db.session.query(Account).one()
        membership = db.session.query(Membership).one()
        assert (account.name, membership.account_id, membership.role) == ("Nora & Co", account.id, "owner")
        assert visitor.get("/").headers["Location"] == f"/home/{account.slug}/overview"

    @pytest.mark.parametrize(
        ("wanted", "comes_to"),
        [
            (None, "/plans?plan=pro&interval=year"),
            ("/plans?plan=basic", "/plans?plan=basic"),
            ("/sign-out", "/"),
            ("//evil.example/plans", "/"),
        ],
    )
    def test_the_plan_that_was_chosen_comes_along(
        self, open_app: Flask, outbox: Outbox, wanted: str | None, comes_to: str
    ) -> None:
        asking, finishing = Visitor(open_app), Visitor(open_app)
        asking.get("/plans?plan=pro&interval=year")
        asking.post("/register", {"email": "new@example.com"})
        link = outbox.path()
        if wanted is not None:
            link = f"{link.partition('?')[0]}?next={wanted}"
        assert finishing.get(link).status_code == 200
        form = {"name": "Nora", "account_name": "Nora & Co", "password": PASSWORD}
        assert finishing.post(link, form).headers["Location"] == comes_to
        assert db.session.query(Account).one().name == "Nora & Co"

    def test_a_known_address_gets_the_same_page_and_another_mail(
        self, open_app: Flask, outbox: Outbox
    ) -> None:
        make_person("ann@example.com")
        visitor = Visitor(open_app)
        pages = [visitor.post("/register", {"email": e}).text for e in ("ann@example.com", "new@example.com")]
        assert pages[0].split("<main")[1] == pages[1].split("<main")[1]
        known, new = outbox.texts()
        assert "There is one already" in known and "/register/" not in known and "/register/" in new

    def test_a_refused_account_leaves_nobody_behind(self, open_app: Flask, outbox: Outbox) -> None:
        visitor = Visitor(open_app)
        visitor.post("/register", {"email": "new@example.com"})
        answer = visitor.post(outbox.path(), {"name": "N", "account_name": "x" * 500, "password": PASSWORD})
        assert answer.status_code == 422 and 'href="#account_name"' in answer.text
        assert (db.session.query(User).count(), db.session.query(Account).count()) == (0, 0)

    def test_an_invitation_is_no_link_to_register_with(self, open_app: Flask, outbox: Outbox) -> None:
        visitor = Visitor(open_app)
        visitor.post("/register", {"email": "new@example.com"})
        secret = outbox.path().rpartition("/")[2]
        assert visitor.get(f"/invitation/{secret}").status_code == 404
        assert visitor.post(f"/invitation/{secret}", {"name": "N", "password": PASSWORD}).status_code == 404


class TestFirstOperator:
    def test_the_logged_link_makes_one_operator(
        self, app: Flask, visitor: Visitor, caplog: pytest.LogCaptureFixture
    ) -> None:
        link = first_operator_link("http://127.0.0.1:5000")
        assert link is not None and link in caplog.text
        path = link.removeprefix("http://127.0.0.1:5000")
        assert visitor.get(path).status_code == 200
        answer = visitor.post(path, {"name": "Op", "email": "op@example.com", "password": PASSWORD})
        assert answer.status_code == 303 and visitor.is_signed_in()
        assert db.session.query(User).one().is_operator
        assert (
            visitor.post(path, {"name": "X", "email": "x@example.com", "password": PASSWORD}).status_code
            == 404
        )
        assert first_operator_link("http://127.0.0.1:5000") is None


class TestMembers:
    def test_the_page_shows_everybody_and_lets_only_owners_change(
        self, app: Flask, ann: Visitor, account_id: int
    ) -> None:
        make_person("vera@example.com", account_id, "viewer")
        page = ann.get("/home/acme/members").text
        assert "vera@example.com" in page and "Send the invitation" in page
        seen = signed_in(app, "vera@example.com").get("/home/acme/members").text
        assert "ann@example.com" in seen and "Send the invitation" not in seen and "/remove" not in seen

    def test_an_owner_changes_a_role_and_removes(self, ann: Visitor, account_id: int) -> None:
        make_person("bob@example.com", account_id, "viewer")
        membership = db.session.query(Membership).filter_by(role="viewer").one().id
        ann.post(f"/home/acme/members/{membership}/role", {"role": "member"})
        fresh()
        assert db.session.get(Membership, membership).role == "member"
        ann.post(f"/home/acme/members/{membership}/remove")
        fresh()
        assert db.session.get(Membership, membership) is None

    def test_the_last_owner_stays_and_is_told_why(self, ann: Visitor) -> None:
        membership = db.session.query(Membership).one().id
        assert ann.post(f"/home/acme/members/{membership}/remove").status_code == 303
        assert "An account needs an owner" in ann.get("/home/acme/members").text
        assert db.session.query(Membership).count() == 1

    def test_a_withdrawn_invitation_opens_nothing(
        self, ann: Visitor, visitor: Visitor, outbox: Outbox
    ) -> None:
        ann.post("/home/acme/members/invite", {"email": "bob@example.com", "role": "viewer"})
        token_id = db.session.query(OneTimeToken).one().id
        assert "bob@example.com" in ann.get("/home/acme/members").text
        ann.post(f"/home/acme/members/invitations/{token_id}/cancel")
        assert visitor.get(outbox.path()).status_code == 404

    def test_an_operator_invites_to_any_account(self, app: Flask, account_id: int, outbox: Outbox) -> None:
        make_person("op@example.com", is_operator=True)
        operator = signed_in(app, "op@example.com")
        answer = operator.post("/home/acme/members/invite", {"email": "bob@example.com", "role": "owner"})
        assert answer.status_code == 303 and outbox.path().startswith("/invitation/")


class TestProfile:
    def test_it_shows_where_one_is_signed_in_and_changes_the_name(self, ann: Visitor) -> None:
        assert "This browser" in ann.get("/profile").text
        assert ann.post("/profile/name", {"name": "Ann <b>Smith</b>"}).status_code == 303
        assert "Ann &lt;b&gt;Smith&lt;/b&gt;" in ann.get("/profile").text
        assert ann.post("/profile/name", {"name": ""}).status_code == 422

    @pytest.mark.parametrize(
        ("data", "field"),
        [
            ({"current_password": "wrong", "new_password": NEW_PASSWORD}, "current_password"),
            ({"current_password": PASSWORD, "new_password": "short"}, "new_password"),
            ({}, "current_password"),
        ],
    )
    def test_a_refused_password_is_named_and_everybody_stays(
        self, ann: Visitor, data: dict[str, str], field: str
    ) -> None:
        answer = ann.post("/profile/password", data)
        assert answer.status_code == 422 and f'href="#{field}"' in answer.text
        assert ann.is_signed_in()

    def test_the_account_opened_last_is_where_one_begins(self, app: Flask, ann: Visitor) -> None:
        other = make_account("zebra")
        memberships.add_member(db.session.query(User).one().id, other, "viewer", actor="command")
        assert ann.get("/").headers["Location"] == "/home/acme/overview"
        page = ann.get("/home/zebra/members").text
        assert "/home/acme/overview" in page  # the switcher
        assert ann.get("/").headers["Location"] == "/home/zebra/overview"

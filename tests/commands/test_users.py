"""``flask users …``"""

import json

import pytest
from click.testing import Result
from flask import Flask

from extensions import db
from models.accounts import Membership, User
from services.accounts.passwords import is_right
from tests.conftest import make_account
from tests.visitor import PASSWORD


def run(app: Flask, *arguments: str, piped: str | None = None) -> Result:
    result = app.test_cli_runner().invoke(args=["users", *arguments], input=piped)
    db.session.rollback()
    db.session.expire_all()
    return result


class TestCreate:
    def test_a_piped_password_is_used_and_not_printed(self, app: Flask) -> None:
        account_id = make_account("acme")
        result = run(
            app, "create", "Ann@Example.com", "--account", "acme", "--role", "viewer", piped=PASSWORD + "\n"
        )
        assert (result.exit_code, result.output) == (0, "")
        user, membership = db.session.query(User).one(), db.session.query(Membership).one()
        assert user.email == "ann@example.com" and is_right(PASSWORD, user.password_hash)
        assert (membership.account_id, membership.role, user.is_operator) == (account_id, "viewer", False)

    def test_otherwise_one_is_made_and_printed_alone(self, app: Flask) -> None:
        result = run(app, "create", "op@example.com", "--operator")
        user = db.session.query(User).one()
        assert result.exit_code == 0 and user.is_operator
        assert is_right(result.output.strip(), user.password_hash)

    @pytest.mark.parametrize(
        ("arguments", "piped", "why"),
        [
            (["nobody"], None, "e-mail address"),
            (["a@b.de", "--account", "nothing"], None, "no such account"),
            (["a@b.de"], "short\n", "8 characters"),
            (["a@b.de"], "password1\n", "common"),
            (["taken@b.de"], None, "already"),
        ],
    )
    def test_a_refusal_is_one_line_and_leaves_nothing(
        self, app: Flask, arguments: list[str], piped: str | None, why: str
    ) -> None:
        run(app, "create", "taken@b.de")
        result = run(app, "create", *arguments, piped=piped)
        assert result.exit_code == 1 and why in result.output
        assert len(result.output.strip().splitlines()) == 1
        assert db.session.query(User).count() == 1


class TestListAndDisable:
    def test_the_list_has_everybody_and_no_hash(self, app: Flask) -> None:
        make_account("acme")
        run(app, "create", "ann@example.com", "--account", "acme")
        listed = run(app, "list", "--json")
        (row,) = json.loads(listed.output)
        assert (row["email"], row["accounts"]) == ("ann@example.com", [{"account": "acme", "role": "owner"}])
        assert "scrypt" not in listed.output
        assert "ann@example.com" in run(app, "list").output

    def test_disabled_one_is_marked_and_an_unknown_one_refused(self, app: Flask) -> None:
        run(app, "create", "ann@example.com")
        assert run(app, "disable", "Ann@example.com").exit_code == 0
        assert db.session.query(User).one().disabled_at is not None
        assert json.loads(run(app, "list", "--json").output)[0]["disabled_at"]
        result = run(app, "disable", "bob@example.com")
        assert result.exit_code == 1 and "no user" in result.output

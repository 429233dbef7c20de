"""``accounts`` and ``keys`` from the shell."""

import json

import pytest

from services.accounts.api_keys import caller_of
from tests.conftest import make_account


@pytest.fixture
def shell(app):
    return lambda *words: app.test_cli_runner().invoke(args=list(words))


class TestAccounts:
    def test_create_list_and_status(self, shell):
        made = shell("accounts", "create", "agents", "--name", "Agents", "--kind", "agency")
        assert (made.exit_code, made.output) == (0, "agents\n")
        shell("accounts", "create", "acme", "--name", "Acme", "--agency", "agents", "--external-id", "u-1")
        assert shell("accounts", "status", "acme", "frozen").exit_code == 0
        listed = json.loads(shell("accounts", "list", "--json").output)
        assert [(a["slug"], a["status"], a["agency"]) for a in listed] == [
            ("agents", "active", None), ("acme", "frozen", "agents"),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "words",
        [
            ("create", "taken", "--name", "X"),
            ("create", "Bad Slug", "--name", "X"),
            ("create", "new", "--name", "X", "--agency", "taken"),
            ("status", "nobody", "frozen"),
        ],
    )
    def test_refusals_are_one_line(self, shell, words):
        make_account("taken")
        refused = shell("accounts", *words)
        assert refused.exit_code == 1 and refused.output.count("\n") == 1


class TestKeys:
    def test_create_prints_the_key_alone(self, shell):
        account_id = make_account("acme")
        token = shell("keys", "create", "--account", "acme", "--scopes", "read, manage").output
        caller = caller_of(token.removesuffix("\n"))
        assert (caller.account_id, caller.scopes) == (account_id, {"read", "manage"})
        platform = caller_of(shell("keys", "create", "--platform").output.strip())
        assert platform.is_platform and platform.scopes == {"read", "spend"}

    def test_list_and_revoke(self, shell):
        token = shell("keys", "create", "--platform", "--name", "billing").output.strip()
        listed = json.loads(shell("keys", "list", "--json").output)
        assert token not in json.dumps(listed) and listed[0]["name"] == "billing"
        assert shell("keys", "revoke", str(listed[0]["id"])).exit_code == 0
        assert json.loads(shell("keys", "list", "--json").output)[0]["revoked_at"]

    @pytest.mark.parametrize(
        "words",
        [
            ("create",), ("create", "--account", "nobody"), ("create", "--account", "acme", "--platform"),
            ("create", "--platform", "--scopes", "all"), ("revoke", "999"),
        ],
    )  # fmt: skip
    def test_refusals_are_one_line(self, shell, words):
        make_account("acme")
        refused = shell("keys", *words)
        assert refused.exit_code == 1 and refused.output.count("\n") == 1

"""Every route says who may use it, and keeps to it: role × route × somebody else's account.

Routes that are added later are covered by being there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from werkzeug.routing import AnyConverter, Rule

from blueprints.access import access_of, declare, declared, public, require_declarations
from services.accounts.access import RANKS
from tests.conftest import make_account
from tests.visitor import Visitor, make_person, signed_in

KNOWN = ("public", "signed_in", "operator", "account:viewer", "account:member", "account:owner")
PEOPLE = ("anonymous", "viewer", "member", "owner", "stranger", "operator")


@dataclass
class Town:
    """An account with one person of each kind, and browsers for them."""

    app: Flask
    browsers: dict[str, Visitor]

    def visit(self, who: str, rule: Rule, method: str, slug: str) -> tuple[int, bytes, str]:
        """Try a route in an account; other parts of the path name what is not there."""
        values = {name: slug if name == "account" else self._nothing(rule, name) for name in rule.arguments}
        with self.app.test_request_context():
            path = self.app.url_map.bind("localhost").build(rule.endpoint, values, method=method)
        browser = self.browsers[who]
        answer = browser.get(path) if method == "GET" else browser.client.open(
            path, method=method, data={"csrf_token": browser.token()},
            environ_overrides={"REMOTE_ADDR": browser.address},
        )  # fmt: skip
        return answer.status_code, answer.data, answer.headers.get("Location", "")

    @staticmethod
    def _nothing(rule: Rule, name: str) -> object:
        if isinstance(rule._converters[name], AnyConverter):
            return min(rule._converters[name].items)
        converter = type(rule._converters[name]).__name__
        return 999_999 if "Integer" in converter or "RowId" in converter else "nothing"


@pytest.fixture
def town(app: Flask) -> Iterator[Town]:
    account_id = make_account("acme")
    other_id = make_account("other")
    browsers = {"anonymous": Visitor(app)}
    for role in RANKS:
        make_person(f"{role}@example.com", account_id, role)
    make_person("stranger@example.com", other_id)
    make_person("operator@example.com", is_operator=True)
    for who in PEOPLE[1:]:
        browsers[who] = signed_in(app, f"{who}@example.com")
    yield Town(app, browsers)


def routes(app: Flask, *accesses: str) -> list[tuple[Rule, str, str]]:
    """Each (rule, method, access) that declares one of these."""
    known = access_of(app)
    return [
        (rule, method, known[rule.endpoint] or "")
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        if known[rule.endpoint] in accesses
    ]


class TestDeclarations:
    def test_every_route_declares_something_known(self, app: Flask) -> None:
        for endpoint, access in access_of(app).items():
            assert access in KNOWN or (access or "").startswith(("api:", "token:", "signature:")), endpoint

    def test_every_account_route_checks_its_account(self, app: Flask) -> None:
        for rule in app.url_map.iter_rules():
            access = access_of(app)[rule.endpoint] or ""
            if "account" in rule.arguments and not rule.rule.startswith("/api/"):
                assert access.startswith("account:") or access == "operator", rule

    def test_a_route_that_declares_nothing_stops_the_start(self, app: Flask) -> None:
        require_declarations(app)
        app.view_functions["silent"] = lambda: ""
        app.url_map.add(Rule("/silent", endpoint="silent"))
        with pytest.raises(RuntimeError, match="silent"):
            require_declarations(app)

    def test_a_declaration_survives_wrapping(self) -> None:
        import functools

        @declared("api:read")
        def view() -> str:
            return ""

        wrapped = functools.wraps(view)(lambda: view())
        app = Flask(__name__, static_folder=None)
        app.add_url_rule("/a", "a", wrapped)
        app.add_url_rule("/b", "b", public(lambda: ""))
        app.add_url_rule("/c", "c", declare(lambda: "", "operator"))
        assert access_of(app) == {"a": "api:read", "b": "public", "c": "operator"}


class TestMatrix:
    def test_somebody_elses_account_is_what_does_not_exist(self, town: Town) -> None:
        tried = 0
        for rule, method, _access in routes(town.app, *(f"account:{role}" for role in RANKS)):
            theirs = town.visit("stranger", rule, method, "acme")
            nobodys = town.visit("stranger", rule, method, "nothing-there")
            assert theirs == nobodys, (rule.endpoint, method)
            assert theirs[0] == 404, (rule.endpoint, method)
            tried += 1
        assert tried >= 5

    def test_a_role_below_the_declared_one_is_refused_and_one_above_is_not(self, town: Town) -> None:
        for rule, method, access in routes(town.app, *(f"account:{role}" for role in RANKS)):
            needed = RANKS[access.removeprefix("account:")]
            for role, rank in RANKS.items():
                status = town.visit(role, rule, method, "acme")[0]
                assert (status == 403) is (rank < needed), (rule.endpoint, method, role, status)
                assert status < 500, (rule.endpoint, method, role)

    def test_operators_open_every_account(self, town: Town) -> None:
        for rule, method, _access in routes(town.app, *(f"account:{role}" for role in RANKS)):
            is_object = len(rule.arguments) > 1
            status = town.visit("operator", rule, method, "acme")[0]
            assert status != 403 and (is_object or status != 404), (rule.endpoint, method, status)

    def test_an_operators_route_does_not_exist_for_others(self, town: Town) -> None:
        for rule, method, _access in routes(town.app, "operator"):
            for who in ("viewer", "owner", "stranger"):
                assert town.visit(who, rule, method, "acme")[0] == 404, (rule.endpoint, method, who)

    def test_whoever_is_not_signed_in_is_sent_to_sign_in(self, town: Town) -> None:
        for rule, method, _access in routes(town.app, *KNOWN[1:]):
            for slug in ("acme", "nothing-there"):
                status, _body, location = town.visit("anonymous", rule, method, slug)
                assert status in (302, 303), (rule.endpoint, method)
                assert location.startswith("/sign-in"), (rule.endpoint, method)

    def test_no_unsafe_route_works_without_the_forms_token(self, town: Town) -> None:
        tried = 0
        for rule, method, _access in routes(town.app, *KNOWN):
            if method == "GET":
                continue
            with town.app.test_request_context():
                values = {n: "acme" if n == "account" else town._nothing(rule, n) for n in rule.arguments}
                path = town.app.url_map.bind("localhost").build(rule.endpoint, values, method=method)
            for token in (None, "forged", town.browsers["stranger"].token()):
                data = {"csrf_token": token} if token else {}
                answer = town.browsers["owner"].client.open(path, method=method, data=data)
                assert answer.status_code == 400, (rule.endpoint, method, token)
                assert "Go back" in answer.text
            tried += 1
        assert tried >= 10
        assert town.browsers["owner"].is_signed_in()

"""A person with a browser, for tests of pages: keeps cookies, fills in the form's token, signs in."""

import contextvars
import functools
import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from extensions import db
from services.accounts import memberships, passwords, sessions, users

PASSWORD = "a quiet morning by the lake"
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class OutsideClient(FlaskClient):
    """Requests come from outside: the context that a test has pushed is not theirs."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return contextvars.Context().run(super().open, *args, **kwargs)


class Visitor:
    """A browser of its own."""

    def __init__(self, app: Flask, address: str = "203.0.113.7"):
        self.client = OutsideClient(app, app.response_class, use_cookies=True)
        self.address = address
        self.is_https = app.extensions["settings"].is_https
        self.cookie_name = "__Host-coffer" if self.is_https else "coffer"

    def get(self, path: str, **options: Any) -> TestResponse:
        """Open a page."""
        return self.client.get(path, **self._from_here(options))

    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        """Send a form with its token, as the pages' forms do."""
        return self.client.post(
            path, data={"csrf_token": self.token(), **(data or {})}, **self._from_here(options)
        )

    def token(self) -> str:
        """The form token of this browser's session."""
        for page in ("/sign-in", "/profile"):
            found = _TOKEN.search(self.get(page).text)
            if found:
                return found.group(1)
        raise AssertionError("no page has a form")

    def sign_in(self, email: str, password: str = PASSWORD, **data: str) -> TestResponse:
        """Fill in the form."""
        return self.post("/sign-in", {"email": email, "password": password, **data})

    def is_signed_in(self) -> bool:
        """Whether one's own page opens."""
        return self.get("/profile").status_code == 200

    def cookie(self) -> str | None:
        """The session's token."""
        found = self.client.get_cookie(self.cookie_name)
        return found.value if found else None

    def take_cookie(self, value: str) -> None:
        """Use a cookie that was copied from another browser."""
        self.client.set_cookie(self.cookie_name, value, secure=self.is_https)

    def _from_here(self, options: dict[str, Any]) -> dict[str, Any]:
        options.setdefault("environ_overrides", {"REMOTE_ADDR": self.address})
        if self.is_https:
            options.setdefault("base_url", "https://localhost")
            options["headers"] = {"Referer": "https://localhost/", **options.get("headers", {})}
        return options


def make_person(
    email: str, account_id: int | None = None, role: str = "owner", *, is_operator: bool = False
) -> int:
    """Create a person with ``PASSWORD`` and return the id."""
    name = email.split("@")[0].title()
    address = users.normalised_email(email)
    user_id = users.insert_user(
        address, _hash_of_password(), name=name, is_operator=is_operator, actor="command"
    )
    if account_id is not None:
        memberships.add_member(user_id, account_id, role, actor="command")
    return user_id


@functools.cache
def _hash_of_password() -> str:
    return passwords.hash_password(PASSWORD)


def signed_in(app: Flask, email: str) -> Visitor:
    """A browser in which somebody has signed in."""
    visitor = Visitor(app)
    person = users.person_with_email(email)
    assert person is not None
    visitor.take_cookie(sessions.open_session(person.id, visitor.address, "Test browser"))
    return visitor


def fresh() -> None:
    """Let go of what the test's own session has read, to see what requests have written."""
    db.session.rollback()
    db.session.expire_all()

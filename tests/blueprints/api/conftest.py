"""An API to call: accounts with credits, keys of each kind, and a caller that sends them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from services.accounts.api_keys import mint
from services.ledger.grants import Incoming, grant_credits
from tests.conftest import make_account

ALL_SCOPES = ("read", "spend", "manage")


@dataclass
class Program:
    """A program with a key: calls the API as one would from outside."""

    app: Flask
    token: str | None

    def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> TestResponse:
        return self.app.test_client().get(path, query_string=query, headers=self._headers(headers))

    def post(
        self, path: str, body: Any = None, key: str | None = None, raw: bytes | str | None = None, **more: Any
    ) -> TestResponse:
        headers = self._headers({"Idempotency-Key": key} if key is not None else None)
        content_type = more.pop("content_type", "application/json")
        data = raw if raw is not None else json.dumps(body if body is not None else {})
        return self.app.test_client().post(
            path, data=data, content_type=content_type, headers=headers, query_string=more
        )

    def patch(self, path: str, body: Any) -> TestResponse:
        return self.app.test_client().patch(path, json=body, headers=self._headers(None))

    def _headers(self, more: dict[str, str] | None) -> dict[str, str]:
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return own | (more or {})


def program(app: Flask, account_id: int | None, scopes: tuple[str, ...] = ALL_SCOPES) -> Program:
    """A program with a fresh key."""
    return Program(app, mint(account_id, "command", scopes).token)


def give(account_id: int, amount: int, *, expires_at: datetime | None = None, **values: Any) -> int:
    """Grant credits; the lot's id."""
    incoming = {"credit_type": "credits", "source": "bonus", "actor": "command"} | values
    return grant_credits(
        Incoming(account_id=account_id, amount=amount, expires_at=expires_at, **incoming)
    ).grant_id


@pytest.fixture
def acme(app: Flask) -> int:
    """An account with 100 credits."""
    account_id = make_account("acme")
    give(account_id, 100)
    return account_id


@pytest.fixture
def other(app: Flask) -> int:
    """Another account with 100 credits."""
    account_id = make_account("other")
    give(account_id, 100)
    return account_id


@pytest.fixture
def own(app: Flask, acme: int) -> Program:
    """A program with a key of ``acme`` and every scope."""
    return program(app, acme)


@pytest.fixture
def platform(app: Flask) -> Program:
    """A program with a key of the instance and every scope."""
    return program(app, None)


@pytest.fixture
def anonymous(app: Flask) -> Program:
    """A program without a key."""
    return Program(app, None)


@pytest.fixture
def problem_of() -> Callable[[TestResponse], tuple[int, str]]:
    """Status and code of a problem document, its form checked."""

    def check(response: TestResponse) -> tuple[int, str]:
        assert response.content_type == "application/problem+json", response.data
        document = response.get_json(force=True)
        assert document["status"] == response.status_code
        assert document["type"] == f"/api/docs#{document['code']}"
        assert document["title"] and document["detail"]
        return response.status_code, document["code"]

    return check

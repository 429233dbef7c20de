"""An operator and an owner with their browsers, an account, a form's token."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from extensions import db
from models.audit import AuditEvent
from tests.conftest import make_account
from tests.visitor import Visitor, fresh, make_person, signed_in


@pytest.fixture
def account_id(app: Flask) -> int:
    return make_account("acme")


@pytest.fixture
def operator(app: Flask) -> Visitor:
    """An operator who belongs to no account."""
    make_person("olive@example.com", is_operator=True)
    return signed_in(app, "olive@example.com")


@pytest.fixture
def owner(app: Flask, account_id: int) -> Visitor:
    """The owner of acme, who is no operator."""
    make_person("ann@example.com", account_id)
    return signed_in(app, "ann@example.com")


@pytest.fixture
def actions() -> Callable[[], list[str]]:
    """What the audit log says was done, in order."""

    def read() -> list[str]:
        fresh()
        return list(db.session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))

    return read


def form_token(page: str, field_id: str = "form_token") -> str:
    """The token of a page's form."""
    found = re.search(rf'id="{field_id}" name="form_token" type="hidden" value="([^"]+)"', page)
    assert found, f"no {field_id} on the page"
    return found.group(1)

"""An account with people, and browsers."""

import re

import pytest
from flask import Flask

from tests.conftest import make_account
from tests.visitor import Visitor, make_person, signed_in


class Outbox:
    """The mails of a test, as the log shows them where no server is set."""

    def __init__(self, caplog: pytest.LogCaptureFixture):
        self._caplog = caplog

    def texts(self) -> list[str]:
        """Every mail, in order."""
        return [r.getMessage() for r in self._caplog.records if r.name == "coffer.mail"]

    def path(self) -> str:
        """The path of the link in the last mail."""
        found = re.search(r"http://127\.0\.0\.1:5000(/\S+)", self.texts()[-1])
        assert found, self.texts()[-1]
        return found.group(1)


@pytest.fixture
def outbox(caplog: pytest.LogCaptureFixture) -> Outbox:
    caplog.set_level("INFO", "coffer.mail")
    return Outbox(caplog)


@pytest.fixture
def account_id(app: Flask) -> int:
    return make_account("acme")


@pytest.fixture
def ann(app: Flask, account_id: int) -> Visitor:
    """The owner of acme, signed in."""
    make_person("ann@example.com", account_id)
    return signed_in(app, "ann@example.com")


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Somebody who is not signed in."""
    return Visitor(app)

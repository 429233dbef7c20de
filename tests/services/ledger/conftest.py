"""Fixtures of the ledger's tests."""

import pytest
from flask import Flask

from tests.services.ledger.desk import Clock, Desk


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still on 31 January 2026, noon."""
    return Clock(monkeypatch)


@pytest.fixture
def desk(either_app: Flask, clock: Clock) -> Desk:
    """An account on either database, its time standing still."""
    return Desk.open()

"""A shop on either database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.shop import Shop, open_shop


@pytest.fixture
def shop(app: Flask, tmp_path: Path) -> Iterator[Shop]:
    """On SQLite."""
    with open_shop(app, tmp_path) as opened:
        yield opened


@pytest.fixture
def either_shop(either_app: Flask, tmp_path: Path) -> Iterator[Shop]:
    """On SQLite and on PostgreSQL."""
    with open_shop(either_app, tmp_path) as opened:
        yield opened

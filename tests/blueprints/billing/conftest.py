"""A shop with the sandbox behind it, and people who come to buy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.blueprints.household import Household, household
from tests.shop import Shop, open_shop


@pytest.fixture
def shop(app: Flask, tmp_path: Path) -> Iterator[Shop]:
    """The account ``acme`` may buy the packages of ``devtools``."""
    with open_shop(app, tmp_path) as opened:
        yield opened


@pytest.fixture
def home(shop: Shop) -> Household:
    """The people of ``acme``."""
    return household(shop.app, shop.account_id)

"""The demo is an honest history: bought, granted and spent through the services."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from errors import Conflict
from extensions import db
from models.accounts import Account
from models.billing import Order, Payment
from models.ledger import Transaction
from services import clock
from services.accounts.api_keys import find_key
from services.demo.history import DAYS
from services.demo.loading import Demo, load_demo
from services.ledger.balances import balance_of
from services.ledger.proof import verify_ledger
from tests.conftest import make_account, running_app, settings_for
from tests.shop import Shop, open_shop


def load(shop: Shop) -> Demo:
    return load_demo(shop.payments, shop.pay)


@pytest.fixture
def shop(app: Flask, tmp_path: Path) -> Iterator[Shop]:
    """A sandbox to pay at. Its own account is taken away: the demo wants a new database."""
    with open_shop(app, tmp_path) as opened:
        db.session.execute(db.text("DELETE FROM account_names"))
        db.session.execute(db.text("DELETE FROM accounts"))
        db.session.commit()
        yield opened

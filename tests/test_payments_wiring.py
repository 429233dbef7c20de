"""The wiring: a sandbox of one's own where no key is set, and none where one is."""

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from app import create_app
from errors import PaymentProviderUnavailable
from extensions import db
from models.ledger import Grant
from payments_wiring import pay_in_sandbox
from services.billing.purchases import fulfil_checkout, start_purchase
from services.catalog.presets import load_preset
from tests.conftest import make_account, running_app, settings_for
from tests.shop import CATALOGS
from tests.visitor import OutsideClient


@pytest.fixture
def account_id(app: Flask):
    load_preset(CATALOGS / "devtools.toml")
    yield make_account("acme")
    app.extensions["payments"].stop()


def start(app: Flask, account_id: int, key: str = "form-1"):
    return start_purchase(
        account_id, "small", request_key=key, actor="user:1", payments=app.extensions["payments"]
    )


class TestWithoutAKey:
    def test_nothing_starts_before_it_is_needed(self, app: Flask, tmp_path: Path) -> None:
        assert app.extensions["payments"].sandbox is None
        assert not (tmp_path / "sandbox.sqlite").exists()

    def test_a_purchase_in_the_sandbox(self, app: Flask, account_id: int) -> None:
        started = start(app, account_id)
        assert started.url.startswith("http://127.0.0.1:5000/sandbox/pay/")
        pay_in_sandbox(app, started.session_id)
        assert fulfil_checkout(started.session_id, "user:1", app.extensions["payments"]) == "paid"
        assert [lot.amount for lot in db.session.scalars(select(Grant))] == [500]

    def test_its_pages_are_the_apps_own(self, app: Flask, account_id: int) -> None:
        started = start(app, account_id)
        client = OutsideClient(app, app.response_class)
        page = client.get(started.url.removeprefix("http://127.0.0.1:5000"))
        assert page.status_code == 200
        assert "Small" in page.text and "$20.00" in page.text
        assert client.get("/sandbox/pay/none").status_code == 404

    def test_another_process_uses_the_one_that_runs(self, app: Flask, account_id: int) -> None:
        first = start(app, account_id)
        settings = app.extensions["settings"]
        other = create_app(settings)
        with other.app_context():
            assert start(other, account_id) == first
            assert start(other, account_id, "form-2").session_id != first.session_id
            assert other.extensions["payments"].sandbox is None
            db.engine.dispose()

    def test_it_remembers_after_a_restart(self, app: Flask, account_id: int) -> None:
        started = start(app, account_id)
        app.extensions["payments"].stop()
        pay_in_sandbox(app, started.session_id)
        assert fulfil_checkout(started.session_id, "user:1", app.extensions["payments"]) == "paid"


class TestWithAKey:
    def test_there_is_no_sandbox(self, tmp_path: Path) -> None:
        settings = settings_for(
            tmp_path, stripe_secret_key="sk_test_x", stripe_api_base="http://127.0.0.1:9"
        )
        for app in running_app(settings):
            load_preset(CATALOGS / "devtools.toml")
            with pytest.raises(PaymentProviderUnavailable):
                start(app, make_account("acme"))
            assert app.extensions["payments"].sandbox is None
            assert not (tmp_path / "sandbox.sqlite").exists()
            assert OutsideClient(app, app.response_class).get("/sandbox/pay/x").status_code == 404

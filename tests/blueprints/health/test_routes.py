"""What watches over an instance gets an answer, and a stranger no figures."""

import pytest

from app import create_app
from extensions import db
from services.ledger.grants import Incoming, grant_credits
from services.operations.schema import upgrade_schema
from tests.conftest import make_account, settings_for


@pytest.fixture
def watched(tmp_path):
    app = create_app(settings_for(tmp_path, metrics_token="metrics-token-of-the-tests"))
    with app.app_context():
        upgrade_schema()
        yield app
        db.session.remove()
        db.engine.dispose()


class TestHealth:
    def test_process_is_up(self, watched):
        answer = watched.test_client().get("/healthz")
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})

    def test_migrated_instance_is_ready(self, watched):
        answer = watched.test_client().get("/readyz")
        assert answer.status_code == 200
        assert {name: check["ok"] for name, check in answer.json["checks"].items()} == {
            "database": True, "schema": True,
        }  # fmt: skip

    def test_instance_without_its_schema_is_not_ready(self, app):
        answer = app.test_client().get("/readyz")
        assert answer.status_code == 503
        assert answer.json["checks"]["schema"]["ok"] is False


class TestMetrics:
    def test_without_the_token_nothing_is_shown(self, watched):
        client = watched.test_client()
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401

    def test_without_the_setting_it_is_closed(self, app):
        assert app.test_client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404

    def test_figures_are_those_of_the_ledger(self, watched):
        grant_credits(
            Incoming(
                account_id=make_account(), credit_type="credits", amount=70, source="bonus", actor="command"
            )
        )
        headers = {"Authorization": "Bearer metrics-token-of-the-tests"}
        text = watched.test_client().get("/metrics", headers=headers).text
        assert 'coffer_credits_outstanding{credit_type="credits"} 70.0' in text
        assert "coffer_accounts 1.0" in text
        assert 'coffer_inbox_events{state="failed"} 0.0' in text

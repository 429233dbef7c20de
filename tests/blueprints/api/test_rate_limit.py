"""API_RATE_LIMIT: so many calls for each key."""

import pytest

from config import SettingsError, load_settings
from tests.blueprints.api.conftest import give, program
from tests.conftest import make_account, running_app, settings_for


@pytest.fixture
def limited(tmp_path):
    yield from running_app(settings_for(tmp_path, api_rate_limit="3/minute"))


def test_each_key_has_its_own_count(limited, problem_of):
    account_id = make_account("acme")
    give(account_id, 100)
    first, second = program(limited, account_id), program(limited, account_id)
    for _ in range(3):
        assert first.get("/api/credits/balance").status_code == 200
    refused = first.post("/api/credits/deduct", {"amount": 1})
    assert problem_of(refused) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert second.get("/api/credits/balance").get_json()["balance"] == 100


def test_a_malformed_limit_fails_at_start_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("API_RATE_LIMIT", "often")
    with pytest.raises(SettingsError, match="API_RATE_LIMIT"):
        load_settings(instance_dir=tmp_path)

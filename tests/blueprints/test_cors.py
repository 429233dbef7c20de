"""Which browsers of other origins may call the API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.conftest import make_account, running_app, settings_for

ORIGIN = "https://app.example.com"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    yield from running_app(settings_for(tmp_path, cors_origins=ORIGIN))


def allowed(app: Flask, method: str, path: str, origin: str) -> str | None:
    answer = app.test_client().open(path, method=method, headers={"Origin": origin})
    return answer.headers.get("Access-Control-Allow-Origin")


class TestOrigins:
    def test_an_allowed_origin_may_read_answers_and_refusals(self, app: Flask) -> None:
        make_account("acme")
        answer = app.test_client().get("/api/credits/balance", headers={"Origin": ORIGIN})
        assert answer.status_code == 401
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Origin" in answer.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer.headers

    def test_a_preflight_names_what_may_be_sent(self, app: Flask) -> None:
        answer = app.test_client().options(
            "/api/credits/deduct", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        )
        assert answer.status_code == 204
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"]
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{ORIGIN}.evil.example", ""])
    @pytest.mark.parametrize("method", ["GET", "OPTIONS"])
    def test_others_may_not(self, app: Flask, origin: str, method: str) -> None:
        assert allowed(app, method, "/api/credits/balance", origin) is None

    def test_pages_are_closed_to_every_other_origin(self, app: Flask) -> None:
        assert allowed(app, "GET", "/sign-in", ORIGIN) is None

    def test_the_modules_for_other_pages_are_open(self, app: Flask) -> None:
        for name in ("api-client.js", "balance-widget.js"):
            answer = app.test_client().get(f"/static/js/{name}", headers={"Origin": "https://x.example"})
            assert answer.status_code == 200
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert allowed(app, "GET", "/static/js/app.js", "https://x.example") is None

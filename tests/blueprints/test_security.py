"""Headers on every answer, errors without secrets, static files, the log."""

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import ServiceUnavailable

from blueprints.access import declare
from blueprints.assets import version_of
from blueprints.request_log import LogFormatter, redacted
from config import SettingsError
from errors import AccountFrozen, RateLimited, StorageUnavailable
from extensions import csrf, db
from models.accounts import UserSession
from sqlite_library import sqlite
from tests.conftest import make_account, running_app, settings_for
from tests.visitor import Visitor, make_person, signed_in

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def fail(error: BaseException) -> None:
    raise error


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """A browser in an app that has routes which fail."""
    failures = {
        "bug": ZeroDivisionError("secret sk_live_abcdefgh in the message"),
        "frozen": AccountFrozen("The account is frozen."),
        "limited": RateLimited(retry_after_seconds=7),
        "storage": StorageUnavailable(retry_after_seconds=2),
        "http": ServiceUnavailable(),
        "read": OperationalError("SELECT 1", {}, sqlite.OperationalError("database is locked")),
        "driver": sqlite.OperationalError("disk I/O error"),
        "wrong_sql": OperationalError("SELECT 1", {}, sqlite.OperationalError("no such table: x")),
    }
    for name, error in failures.items():
        for path in (f"/broken/{name}", f"/webhooks/broken/{name}"):
            view = declare(lambda error=error: fail(error), "public")
            app.add_url_rule(path, path, csrf.exempt(view), methods=["GET", "POST"])
    return Visitor(app)


class TestHeaders:
    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/sign-in", 200),
            ("/", 302),
            ("/nowhere", 404),
            ("/api/nowhere", 404),
            ("/broken/bug", 500),
            ("/broken/storage", 503),
            ("/assets/x/css/base.css", 200),
            ("/static/css/base.css", 200),
            ("/static/nothing.css", 404),
            ("/sign-out", 405),
            ("/api/credits/balance", 401),
            ("/webhooks/broken/bug", 500),
        ],
    )
    def test_every_answer_has_them(self, visitor: Visitor, path: str, status: int) -> None:
        answer = visitor.get(path)
        assert answer.status_code == status
        for name, value in HEADERS.items():
            assert answer.headers.getlist(name) == [value], name
        policy = answer.headers["Content-Security-Policy"]
        assert (
            "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        )
        assert "camera=()" in answer.headers["Permissions-Policy"]
        assert len(answer.headers["X-Request-Id"]) == 16
        if "assets" not in path and "static" not in path:
            assert answer.headers["Cache-Control"] == "no-store"

    def test_a_refused_form_and_a_body_too_large_have_them(self, visitor: Visitor) -> None:
        refused = visitor.client.post("/sign-in", data={})
        large = visitor.client.post("/sign-in", data={"email": "x" * 2_000_000})
        assert (refused.status_code, large.status_code) == (400, 413)
        for answer in (refused, large):
            assert HEADERS.items() <= dict(answer.headers).items()

    def test_forms_may_lead_to_where_one_pays(self, tmp_path: Path) -> None:
        settings = settings_for(
            tmp_path, stripe_api_base="http://127.0.0.1:12111/x", checkout_origins="https://pay.example.com"
        )
        for app in running_app(settings):
            policy = Visitor(app).get("/sign-in").headers["Content-Security-Policy"]
        targets = policy.split("form-action ")[1].split(";")[0].split()
        assert targets == [
            "'self'", "https://checkout.stripe.com", "https://billing.stripe.com", "https://invoice.stripe.com",
            "https://pay.example.com", "http://127.0.0.1:12111",
        ]  # fmt: skip

    def test_a_told_request_id_is_kept_where_it_is_one(self, visitor: Visitor) -> None:
        kept = visitor.get("/sign-in", headers={"X-Request-Id": "order-12345678"})
        replaced = visitor.get("/sign-in", headers={"X-Request-Id": "<script>"})
        assert kept.headers["X-Request-Id"] == "order-12345678"
        assert replaced.headers["X-Request-Id"] != "<script>"

    def test_no_page_needs_what_the_policy_forbids(self, visitor: Visitor, app: Flask) -> None:
        make_person("ann@example.com", make_account("acme"))
        ann = signed_in(app, "ann@example.com")
        for path in ("/sign-in", "/password/forgot", "/nowhere", "/broken/bug"):
            check_page(visitor.get(path).text)
        for path in ("/profile", "/home/acme/members"):
            check_page(ann.get(path).text)


def check_page(page: str) -> None:
    """No inline style, script or handler, and nothing from elsewhere."""
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|https?://", page)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))


class TestErrors:
    def test_a_bug_tells_people_a_reference_and_the_log_the_rest(
        self, visitor: Visitor, caplog: pytest.LogCaptureFixture
    ) -> None:
        answer = visitor.get("/broken/bug")
        assert answer.status_code == 500
        assert answer.headers["X-Request-Id"] in answer.text
        assert (
            "ZeroDivision" not in answer.text
            and "Traceback" not in answer.text
            and "sk_live" not in answer.text
        )
        assert "ZeroDivisionError" in caplog.text

    def test_a_bug_tells_programs_a_problem(self, visitor: Visitor) -> None:
        answer = visitor.get("/webhooks/broken/bug")
        problem = answer.get_json(force=True)
        assert answer.content_type == "application/problem+json"
        assert (problem["status"], problem["code"]) == (500, "internal_error")
        assert problem["request_id"] == answer.headers["X-Request-Id"] and "secret" not in answer.text

    @pytest.mark.parametrize(
        ("name", "status", "code", "retry_after"),
        [
            ("frozen", 403, "account_frozen", None),
            ("limited", 429, "rate_limited", "7"),
            ("storage", 503, "storage_unavailable", "2"),
            ("http", 503, "storage_unavailable", None),
            ("read", 503, "storage_unavailable", "2"),
            ("driver", 503, "storage_unavailable", "2"),
            ("wrong_sql", 500, "internal_error", None),
        ],
    )
    def test_each_error_is_a_page_or_a_problem_with_its_status(
        self, visitor: Visitor, name: str, status: int, code: str, retry_after: str | None
    ) -> None:
        page, problem = visitor.get(f"/broken/{name}"), visitor.get(f"/webhooks/broken/{name}")
        assert page.status_code == problem.status_code == status
        assert page.headers.get("Retry-After") == problem.headers.get("Retry-After") == retry_after
        assert "<h1>" in page.text and problem.get_json(force=True)["code"] == code

    def test_an_error_page_needs_no_database(self, app: Flask, visitor: Visitor) -> None:
        make_person("ann@example.com", make_account("acme"))
        ann = signed_in(app, "ann@example.com")
        db.session.execute(text("DROP TABLE user_sessions"))
        db.session.commit()
        assert ann.get("/nowhere").status_code == 404
        assert ann.get("/home/acme/members").status_code == 500

    def test_a_wrong_method_names_the_right_ones(self, visitor: Visitor) -> None:
        answer = visitor.get("/sign-out")
        assert answer.status_code == 405 and "POST" in answer.headers["Allow"]

    def test_nothing_there_is_the_same_wherever_it_is_not(self, app: Flask, visitor: Visitor) -> None:
        make_person("ann@example.com", make_account("acme"))
        make_account("other")
        ann = signed_in(app, "ann@example.com")
        paths = ("/nowhere", "/home/other/members", "/home/nothing/members", "/home/%00/members")
        bodies = {ann.get(path).text for path in paths}
        assert len(bodies) == 1 and "Set-Cookie" not in ann.get("/nowhere").headers


class TestAssets:
    def test_a_file_is_kept_for_good_under_its_hash_only(self, visitor: Visitor, app: Flask) -> None:
        with app.test_request_context():
            address = app.jinja_env.globals["asset"]("css/base.css")
        assert "immutable" in visitor.get(address).headers["Cache-Control"]
        assert visitor.get("/assets/0123456789abcdef/css/base.css").headers["Cache-Control"] == "no-cache"
        assert visitor.get("/assets/0123456789abcdef/../app.py").status_code == 404
        assert visitor.get("/assets/x/%2e%2e/app.py").status_code == 404

    def test_the_hash_changes_with_any_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.css").write_text("a")
        before = version_of(str(tmp_path))
        version_of.cache_clear()
        (tmp_path / "b.css").write_text("b")
        assert version_of(str(tmp_path)) != before


class TestLog:
    @pytest.mark.parametrize(
        "secret",
        [
            "cof_0123456789abcdefABCDEF",
            "cos_0123456789abcdef_-x",
            "cot_0123456789abcdefXYZ",
            "sk_live_51Habcdef",
            "rk_test_51Habcdef",
            "whsec_abcdef123456",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
        ],
    )
    def test_no_secret_passes(self, secret: str) -> None:
        for line in (f"GET /x?key={secret}&y=1", f"Authorization: Bearer {secret}", f"('{secret}',)"):
            assert secret not in redacted(line) and "[redacted]" in redacted(line)

    def test_passwords_in_addresses_and_forms_do_not_pass(self) -> None:
        line = redacted(
            "smtp://me:hunter22@mail.example.com password=hunter22&x=1 Authorization: Basic aHVudGVyMjI="
        )
        assert "hunter22" not in line and "aHVudGVyMjI" not in line and "x=1" in line

    def test_tracebacks_are_cleaned_and_links_meant_for_the_reader_are_not(self) -> None:
        formatter = LogFormatter("%(message)s")
        try:
            raise ValueError("bad key sk_live_51Habcdef")
        except ValueError:
            record = logging.LogRecord(
                "coffer", logging.ERROR, "", 1, "failed %s", ("cof_" + "a" * 20,), sys.exc_info()
            )
        assert "sk_live" not in formatter.format(record) and "cof_a" not in formatter.format(record)
        spoken = logging.LogRecord(
            "coffer.mail", logging.INFO, "", 1, "/invitation/cot_" + "a" * 20, (), None
        )
        assert "cot_a" in formatter.format(spoken)


class TestProxies:
    @pytest.fixture
    def proxied(self, tmp_path: Path) -> Iterator[Flask]:
        yield from running_app(settings_for(tmp_path, trusted_proxies=1))

    def test_a_trusted_proxy_tells_the_address(self, proxied: Flask) -> None:
        make_person("ann@example.com")
        visitor = Visitor(proxied)
        visitor.post(
            "/sign-in",
            {"email": "ann@example.com", "password": "a quiet morning by the lake"},
            headers={"X-Forwarded-For": "6.6.6.6, 198.51.100.1"},
        )
        assert db.session.query(UserSession).one().address == "198.51.100.1"

    def test_nobody_else_does(self, app: Flask) -> None:
        make_person("ann@example.com")
        visitor = Visitor(app)
        visitor.post(
            "/sign-in",
            {"email": "ann@example.com", "password": "a quiet morning by the lake"},
            headers={"X-Forwarded-For": "6.6.6.6"},
        )
        assert db.session.query(UserSession).one().address == visitor.address


def test_a_malformed_smtp_url_stops_the_start_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SMTP_URL"):
        for _app in running_app(settings_for(tmp_path, smtp_url="mail.example.com:25")):
            pass

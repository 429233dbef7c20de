"""``flask doctor``."""

import json
import os

from flask import Flask
from sqlalchemy import text

from extensions import db
from services.operations.schema import head_revision
from tests.conftest import make_account


def findings(app: Flask) -> tuple[int, dict[str, str]]:
    """Exit code and the state of each finding."""
    result = app.test_cli_runner().invoke(args=["doctor", "--json"])
    return result.exit_code, {row["name"]: row["state"] for row in json.loads(result.output)}


def at_head() -> None:
    """The fixture makes the schema without migrations; say that it is the latest."""
    db.session.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
    db.session.execute(text("DELETE FROM alembic_version"))
    db.session.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": head_revision()})
    db.session.commit()


class TestDoctor:
    def test_new_instance_needs_no_mending(self, app: Flask) -> None:
        at_head()
        code, states = findings(app)
        assert code == 0, states
        assert "fail" not in states.values()
        assert (states["database"], states["flagged orders"], states["mail"]) == ("ok", "ok", "warn")

    def test_parked_account_is_worth_a_look(self, app: Flask) -> None:
        at_head()
        make_account("acme", status="parked")
        code, states = findings(app)
        assert (code, states["parked accounts"]) == (0, "warn")

    def test_readable_key_and_old_schema_must_be_mended(self, app: Flask) -> None:
        path = app.extensions["settings"].instance_dir / "ledger_key"
        path.write_text("0" * 64)
        os.chmod(path, 0o644)
        code, states = findings(app)
        assert (code, states["ledger_key"], states["schema"]) == (1, "fail", "fail")

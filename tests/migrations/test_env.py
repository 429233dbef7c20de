"""Each upgrade is one transaction; a rebuilt table keeps its triggers; broken references stop it."""

import shutil
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from app import create_app
from extensions import db
from services.operations import schema
from tests.conftest import settings_for

REBUILD = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None


def upgrade():
    with op.batch_alter_table("audit_events", recreate="always") as batch:
        batch.add_column(sa.Column("note", sa.Text(), nullable=True))
    {further}
"""


@pytest.fixture
def with_second(tmp_path, monkeypatch):
    """Returns a function that adds a second revision to a copy of the migrations."""
    folder = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))

    def add(further: str = "pass") -> None:
        (folder / "versions" / "0002_rebuild.py").write_text(REBUILD.format(further=further))
        monkeypatch.setattr(schema, "MIGRATIONS", Path(folder))

    return add


@pytest.fixture
def at_foundation(tmp_path):
    app = create_app(settings_for(tmp_path))
    with app.app_context():
        schema.upgrade_schema()
        yield app
        db.session.remove()
        db.engine.dispose()


def triggers() -> set[str]:
    with db.engine.connect() as connection:
        return set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")))


class TestUpgrade:
    def test_rebuilt_table_keeps_its_triggers(self, at_foundation, with_second):
        before = triggers()
        with_second()
        schema.upgrade_schema()
        assert triggers() == before
        assert {"audit_events_no_update", "audit_events_no_delete", "audit_events_no_replace"} <= before
        assert schema.current_revision() == "0002"

    def test_failing_upgrade_changes_nothing(self, at_foundation, with_second):
        with_second('op.execute("INSERT INTO no_such_table VALUES (1)")')
        with pytest.raises(Exception, match="no_such_table"):
            schema.upgrade_schema()
        assert schema.current_revision() == "0001"
        with db.engine.connect() as connection:
            columns = connection.execute(text("PRAGMA table_info(audit_events)")).all()
        assert "note" not in {column[1] for column in columns}

    def test_upgrade_that_breaks_a_reference_is_undone(self, at_foundation, with_second):
        with_second(
            'op.execute("INSERT INTO memberships (user_id, account_id, role, created_at) '
            "VALUES (7, 7, 'owner', 1)\")"
        )
        with pytest.raises(RuntimeError, match="broken references"):
            schema.upgrade_schema()
        assert schema.current_revision() == "0001"
        with db.engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM memberships")) == 0
            assert connection.scalar(text("PRAGMA foreign_keys")) == 1

    def test_models_and_migrations_agree(self, at_foundation):
        command.check(schema.alembic_config())


class TestUpgradeAtStart:
    def test_new_database_is_made_without_a_backup(self, tmp_path):
        with create_app(settings_for(tmp_path)).app_context():
            assert schema.upgrade_at_start(tmp_path / "backups") is True
            assert schema.upgrade_at_start(tmp_path / "backups") is False
            db.engine.dispose()
        assert not (tmp_path / "backups").exists()

    def test_old_database_is_backed_up_first(self, at_foundation, with_second, tmp_path):
        with_second()
        assert schema.upgrade_at_start(tmp_path / "backups") is False
        assert schema.current_revision() == "0002"
        (made,) = (tmp_path / "backups").glob("*.sqlite")
        assert made.name.startswith("before-0002-")

    def test_database_of_a_later_version_is_refused(self, at_foundation, tmp_path):
        with db.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(schema.SchemaMismatch, match="later version"):
            schema.upgrade_at_start(tmp_path / "backups")

    @pytest.mark.postgres
    def test_postgresql_is_upgraded_by_command_only(self, bare_postgres_url, tmp_path):
        with create_app(settings_for(tmp_path, database_url=bare_postgres_url)).app_context():
            with pytest.raises(schema.SchemaMismatch, match="flask --app app db upgrade"):
                schema.upgrade_at_start(tmp_path / "backups")
            schema.upgrade_schema()
            assert schema.upgrade_at_start(tmp_path / "backups") is False
            db.engine.dispose()

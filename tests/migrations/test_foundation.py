"""The migrated schema is the models' schema, on both databases."""

import re

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

import database
from app import create_app
from extensions import db
from models import Base
from services.operations import schema
from tests.conftest import settings_for


def described(engine: Engine) -> dict:
    """Tables, columns, keys, checks, indexes and triggers, in a form that can be compared."""
    found = inspect(engine)
    tables = {}
    for table in found.get_table_names():
        if table == "alembic_version":
            continue
        tables[table] = {
            "columns": [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)],
            "primary": found.get_pk_constraint(table),
            "foreign": sorted(
                (f["name"], f["constrained_columns"], f["referred_table"], f["options"])
                for f in found.get_foreign_keys(table)
            ),
            "unique": sorted((u["name"], u["column_names"]) for u in found.get_unique_constraints(table)),
            "checks": sorted((c["name"], c["sqltext"]) for c in found.get_check_constraints(table)),
        }
    return {"tables": tables, "objects": objects(engine)}


def objects(engine: Engine) -> list[tuple[str, ...]]:
    """Indexes (partial and over expressions too) and triggers, as the database itself describes them."""
    queries = {
        "sqlite": [
            "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
        ],
        "postgresql": [
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
            "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
            "SELECT proname, prosrc FROM pg_proc WHERE proname LIKE '%append_only'",
        ],
    }
    with engine.connect() as connection:
        rows = [row for query in queries[engine.dialect.name] for row in connection.execute(text(query))]
    return sorted(
        (name, re.sub(r"\s+", " ", sql.replace('"', ""))) for name, sql in rows if "alembic" not in name
    )


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def two_urls(request, tmp_path):
    """The address of an empty database, twice: one to migrate, one to create from the models."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'migrated.sqlite'}", f"sqlite:///{tmp_path / 'created.sqlite'}"
    return request.getfixturevalue("bare_postgres_url"), request.getfixturevalue("second_postgres_url")


class TestFoundation:
    def test_migrated_database_equals_models(self, two_urls, tmp_path):
        migrated_url, created_url = two_urls
        settings = settings_for(tmp_path, database_url=migrated_url)
        with create_app(settings).app_context():
            schema.upgrade_schema()
            migrated = described(db.engine)
            db.engine.dispose()
        created_engine = create_engine(created_url, **database.engine_options(settings))
        Base.metadata.create_all(created_engine)
        created = described(created_engine)
        created_engine.dispose()
        assert migrated["tables"].keys() == created["tables"].keys()
        for name, table in created["tables"].items():
            assert migrated["tables"][name] == table, name
        assert migrated["objects"] == created["objects"]

    def test_new_instance_has_whole_credits(self, two_urls, tmp_path):
        with create_app(settings_for(tmp_path, database_url=two_urls[0])).app_context():
            schema.upgrade_schema()
            with db.engine.connect() as connection:
                rows = connection.execute(text("SELECT code, scale, is_money FROM credit_types")).all()
            assert rows == [("credits", 0, False)]
            db.engine.dispose()

    def test_second_upgrade_changes_nothing(self, two_urls, tmp_path):
        with create_app(settings_for(tmp_path, database_url=two_urls[0])).app_context():
            schema.upgrade_schema()
            before = described(db.engine)
            schema.upgrade_schema()
            assert schema.current_revision() == schema.head_revision()
            assert described(db.engine) == before
            db.engine.dispose()

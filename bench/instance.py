"""An instance of Coffer to measure: a database of its own, one rich account, an API key."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from app import create_app
from bench.filling import add_account, add_lots, filled_database
from config import Settings
from extensions import db
from services.accounts.api_keys import mint
from services.operations.schema import upgrade_schema

SECRETS = {"secret_key": "s" * 64, "ledger_key": "l" * 64}


@dataclass(frozen=True, slots=True)
class Instance:
    """A prepared instance; its app context is pushed."""

    app: Flask
    folder: Path
    account_id: int
    token: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which a server serves this instance."""
        return environment_of(self.app.extensions["settings"])


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment in which a server finds these settings; without jobs and demo."""
    own = {
        "INSTANCE_DIR": str(settings.instance_dir),
        "DATABASE_URL": settings.database_url,
        "SCHEDULER": "off",
        "COFFER_DEMO": "false",
        "LOG_LEVEL": "WARNING",
    }
    return os.environ | own | {name.upper(): value for name, value in SECRETS.items()}


@contextmanager
def instance(*, lots: int = 1, lines: int = 0, database_url: str = "") -> Iterator[Instance]:
    """An instance with one account that has so many open lots and so many journal lines behind it."""
    with tempfile.TemporaryDirectory(prefix="coffer-bench-") as name:
        folder = Path(name)
        if lines:
            shutil.copyfile(filled_database(lines), folder / "coffer.sqlite")
        app = create_app(settings_for(folder, database_url))
        with app.app_context():
            try:
                upgrade_schema()
                account_id = 1 if lines else add_account("bench")
                add_lots(account_id, lots)
                token = mint(account_id, "command", ("read", "spend")).token
                yield Instance(app, folder, account_id, token)
            finally:
                db.session.remove()
                db.engine.dispose()


def settings_for(folder: Path, database_url: str = "") -> Settings:
    """Settings that nothing in the environment changes."""
    return Settings(
        _env_file=None, instance_dir=folder, database_url=database_url, scheduler="off", log_level="WARNING",
        **SECRETS,
    )  # type: ignore[call-arg]  # fmt: skip

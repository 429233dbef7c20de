"""backup: the nightly backup."""

from flask import Flask

from config import Settings
from services.ledger.proof import HEADS_FILE, write_heads
from services.operations.backup import nightly_backup


def run(app: Flask) -> str:
    """Write to BACKUP_DIR, keep BACKUP_KEEP."""
    settings: Settings = app.extensions["settings"]
    assert settings.backup_dir is not None
    written = nightly_backup(settings.backup_dir, settings.backup_keep)
    write_heads(settings.instance_dir / HEADS_FILE)
    return f"wrote {written}"

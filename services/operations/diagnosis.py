"""What ``flask doctor`` looks at: all that commonly goes wrong with an instance, each with a word of advice."""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

import sqlite_library
from config import Settings
from extensions import db
from models.accounts import Account
from models.billing import Order
from models.inbox import InboxEvent
from models.outgoing import WebhookEndpoint
from services.clock import wall_now
from services.events.endpoints import IS_GIVEN_UP
from services.operations.clock_guard import paused_because
from services.operations.readiness import readiness

LEAST_FREE_BYTES = 500 * 1024 * 1024
OLDEST_BACKUP = timedelta(hours=49)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``state``: ok, warn (worth a look) or fail (must be mended)."""

    name: str
    state: str
    detail: str


def diagnosis(settings: Settings) -> list[Finding]:
    """Every finding; only reads."""
    ready = readiness(has_scheduler=False)
    findings = [Finding(check.name, "ok" if check.is_fine else "fail", check.detail) for check in ready]
    if all(check.is_fine for check in ready):
        findings += [*_rows_to_look_at(), _clock()]
    return [*findings, *_storage(settings), _backups(settings), *_secrets(settings), *_outside(settings)]


def _rows_to_look_at() -> Iterator[Finding]:
    for name, table, condition, advice in (
        ("parked accounts", Account, Account.status == "parked", "see flask ledger verify"),
        ("flagged orders", Order, Order.status == "flagged", "paid, but not as ordered; orders.flag says why"),
        ("disabled webhooks", WebhookEndpoint, IS_GIVEN_UP, "nothing reached them; see flask endpoints list"),
        ("failed events", InboxEvent, InboxEvent.state == "failed", "see flask webhooks list"),
    ):
        count = db.session.scalar(select(func.count()).select_from(table).where(condition))
        yield Finding(name, "warn" if count else "ok", f"{count}: {advice}" if count else "none")


def _clock() -> Finding:
    reason = paused_because()
    return Finding("clock", "fail" if reason else "ok", f"{reason} See flask jobs resume." if reason else "runs on")


def _storage(settings: Settings) -> Iterator[Finding]:
    if settings.database_url.startswith("sqlite"):
        state = "ok" if sqlite_library.WAL_IS_SAFE else "warn"
        yield Finding("sqlite", state, sqlite_library.describe())
    free = shutil.disk_usage(settings.instance_dir).free
    yield Finding("disk", "ok" if free > LEAST_FREE_BYTES else "fail", f"{free // 2**20:,} MB free")


def _backups(settings: Settings) -> Finding:
    folder = Path(settings.backup_dir or settings.instance_dir)
    newest = max((path.stat().st_mtime for path in folder.glob("*") if path.is_file()), default=None)
    if newest is None:
        return Finding("backups", "warn", f"none in {folder} yet; the job runs at night")
    made_at = datetime.fromtimestamp(newest, UTC)
    is_fresh = wall_now() - made_at < OLDEST_BACKUP
    return Finding("backups", "ok" if is_fresh else "warn", f"newest of {made_at:%Y-%m-%d %H:%M} UTC")


def _secrets(settings: Settings) -> Iterator[Finding]:
    for name in ("ledger_key", "secret_key"):
        path = settings.instance_dir / name
        if path.exists():
            mode = stat.S_IMODE(os.stat(path).st_mode)
            state = "ok" if mode & 0o077 == 0 else "fail"
            yield Finding(name, state, f"kept in {path.name}, mode {mode:04o}")
        else:
            yield Finding(name, "ok", "from the environment")


def _outside(settings: Settings) -> Iterator[Finding]:
    environment = settings.payment_environment
    is_live = environment == "live"
    tls_state = "ok" if settings.is_https else ("fail" if is_live else "warn")
    yield Finding("address", tls_state, f"{settings.base_url}{'' if settings.is_https else ' is not behind TLS'}")
    has_secret = settings.uses_sandbox or bool(settings.webhook_secrets)
    detail = environment if has_secret else "STRIPE_WEBHOOK_SECRET is not set; no webhook is taken"
    yield Finding("payments", "ok" if has_secret else "fail", detail)
    has_mail = bool(settings.smtp_url.get_secret_value())
    yield Finding("mail", "ok" if has_mail else "warn", "by SMTP" if has_mail else "SMTP_URL is not set: to the log")

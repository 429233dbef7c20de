"""``python server.py``: the whole of Coffer in one process, for ``make run`` and for production.

Settings, the instance lock, the schema, the demo where the database is new, the jobs, and the web server.
Why this server: docs/decisions/0002-server.md.
"""

import logging
import os
import socket
import sys
from contextlib import ExitStack

from flask import Flask
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.mt import MTServer

import sqlite_library
from app import create_app
from blueprints.auth.links import first_operator_link
from commands.demo import loaded
from config import Settings, SettingsError, load_settings
from errors import CofferError
from extensions import db
from jobs.runner import Runner
from services.accounts.presence import has_accounts
from services.operations.instance_lock import instance_lock
from services.operations.schema import upgrade_at_start
from turn import in_turn

logger = logging.getLogger("coffer.server")
BACKLOG = 1024
# Requests taken in while all threads are busy; those beyond wait in the backlog.
BACKPRESSURE = 256
LOG_LEVELS_OF_LIBRARIES = {
    "stripe": logging.WARNING,
    "apscheduler": logging.WARNING,
    "_granian": logging.WARNING,
    "alembic": logging.WARNING,
}
# What other parts want done before serving: a list of ``start(app) -> stop``.
START_HOOKS = "coffer.start"


class ThreadServer(MTServer):
    """Granian with its worker on a thread of this process instead of in a child.

    Granian offers this for interpreters without a GIL and refuses others, since there more workers would not
    run in parallel. One worker needs no parallel ones, and one process has no child that could outlive it.
    """

    def _check_gil(self) -> None:
        """One worker runs well under a GIL."""


def main() -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 1 with one line of why where it cannot start."""
    os.umask(0o077)
    try:
        settings = load_settings()
    except SettingsError as error:
        return _refuse(f"Wrong setting: {error}")
    is_sqlite = settings.database_url.startswith("sqlite")
    try:
        with instance_lock(settings.instance_dir, shared=not is_sqlite):
            _check_address(settings)
            _run(create_app(settings), settings)
    except (CofferError, OSError) as refusal:
        return _refuse(" ".join(str(refusal).split()))
    return 0


def _refuse(reason: str) -> int:
    print(f"Coffer does not start. {reason}", file=sys.stderr)
    return 1


def _check_address(settings: Settings) -> None:
    """Say in words that the port is taken, before anything is begun. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise OSError(
                f"Port {settings.port} of {settings.host} cannot be used ({error.strerror}); "
                "set PORT to another."
            ) from None


def _run(app: Flask, settings: Settings) -> None:
    for name, level in LOG_LEVELS_OF_LIBRARIES.items():
        logging.getLogger(name).setLevel(level)
    with app.app_context():
        assert settings.backup_dir is not None
        upgrade_at_start(settings.backup_dir)
        is_empty = not has_accounts()
        db.session.remove()
    with ExitStack() as cleanup:
        cleanup.callback(_dispose, app)
        for start in app.extensions.get(START_HOOKS, []):
            stop = start(app)
            if stop is not None:
                cleanup.callback(stop)
        greeting = _load_demo(app, settings) if is_empty else []
        with app.app_context():
            first_operator_link(settings.base_url)
            db.session.remove()
        if settings.scheduler == "on":
            runner = Runner(app)
            runner.start()
            cleanup.callback(runner.stop)
        _greet(settings, greeting)
        _serve(app, settings)
    logger.info("Stopped")


def _dispose(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


def _load_demo(app: Flask, settings: Settings) -> list[str]:
    """Fill a new instance for a newcomer, unless told not to or there is a key of Stripe; what to print."""
    if not settings.coffer_demo or not settings.uses_sandbox:
        return []
    with app.app_context():
        lines = loaded(app)
        db.session.remove()
    return ["", *lines, ""]


def _greet(settings: Settings, greeting: list[str]) -> None:
    if settings.database_url.startswith("sqlite"):
        logger.info(sqlite_library.describe())
    payments = "the built-in sandbox" if settings.uses_sandbox else f"Stripe ({settings.payment_environment})"
    lines = [f"Coffer on {settings.base_url}  (payments: {payments}; stop with Ctrl-C)", *greeting]
    print("\n".join(lines), flush=True)


def _serve(app: Flask, settings: Settings) -> None:
    """Serve until a signal; requests at work are finished."""
    server = ThreadServer(
        "app:create_app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=1,
        blocking_threads=settings.server_threads,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        log_enabled=False,
    )
    # On PostgreSQL a request waits for the network all the time, and others should run meanwhile.
    is_sqlite = settings.database_url.startswith("sqlite")
    application = in_turn(app.wsgi_app) if is_sqlite else app.wsgi_app
    server.serve(target_loader=lambda *_args, **_options: application, wrap_loader=False)


if __name__ == "__main__":
    sys.exit(main())

"""create_app(): settings, extensions, blueprints, error handlers, commands. Wiring only."""

from collections.abc import Callable
from typing import Any

from flask import Flask, appcontext_pushed

import blueprints
import commands
import database
import models  # noqa: F401  (the tables must be known before the engine is used)
import payments_wiring
from blueprints import localization, request_log
from config import ROOT, Settings, load_settings
from extensions import babel, csrf, db, login_manager, migrate
from gateways.webhook_sender import WebhookSender
from services.accounts import second_factors
from services.accounts.signed_tokens import TokenTerms
from services.events import signing
from services.ledger import chain
from services.operations.moved_clock import ClockFollower


class Coffer(Flask):
    """Flask without what it does for views and hooks that are coroutines: none of ours is."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Flask asks eleven times a request, and looking costs a twentieth of a short one."""
        return func


def create_app(settings: Settings | None = None) -> Flask:
    """The application, ready to serve. Raises SettingsError where a setting is wrong."""
    settings = settings or load_settings()
    request_log.configure_logging(settings)
    app = Coffer(__name__, instance_path=str(settings.instance_dir))
    app.config.from_mapping(_flask_config(settings))
    app.extensions["settings"] = settings
    app.extensions["webhook_sender"] = WebhookSender(allows_private=settings.outgoing_private_addresses)
    app.extensions["token_terms"] = TokenTerms(settings.jwt_algorithm, settings.jwt_key)
    second_factors.use_key(settings.secret_key.get_secret_value())
    signing.use_key(settings.secret_key.get_secret_value())
    chain.use_key(settings.ledger_key.get_secret_value())
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"))
    # Not init_app: its hooks look after a cookie that Coffer has not, and read every request's session for it.
    app.login_manager = login_manager  # type: ignore[attr-defined]
    csrf.init_app(app)
    babel.init_app(
        app,
        locale_selector=localization.locale_of_request,
        timezone_selector=localization.time_zone_of_request,
    )
    with app.app_context():
        database.listen(db.engine)
    if settings.uses_sandbox:  # with a key of Stripe no clock is moved, and nobody looks
        appcontext_pushed.connect(ClockFollower(), app, weak=False)
    payments_wiring.register(app)
    blueprints.register(app)
    commands.register(app)
    return app


def _flask_config(settings: Settings) -> dict[str, Any]:
    return {
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": database.engine_options(settings),
        "MAX_CONTENT_LENGTH": 1024 * 1024,
        "USES_SANDBOX": settings.uses_sandbox,
    }

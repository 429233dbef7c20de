"""Routes: parse, authorise, call one operation, answer."""

from flask import Flask

from blueprints import (
    access,
    api,
    assets,
    auth,
    billing,
    browser_session,
    compression,
    cors,
    error_pages,
    filters,
    health,
    keys,
    mail,
    members,
    notices,
    operator,
    overview,
    pricing,
    request_log,
    security,
    shell,
    tasks,
    usage,
    webhooks,
)


def register(app: Flask) -> None:
    """Put every blueprint on the app."""
    request_log.register(app)
    compression.register(app)
    security.register(app)
    cors.register(app)
    browser_session.register(app)
    error_pages.register(app)
    assets.register(app)
    filters.register(app)
    shell.register(app)
    mail.register(app)
    api.register(app)
    app.register_blueprint(auth.blueprint)
    app.register_blueprint(members.blueprint)
    app.register_blueprint(keys.blueprint)
    app.register_blueprint(operator.blueprint)
    app.register_blueprint(overview.blueprint)
    app.register_blueprint(usage.blueprint)
    app.register_blueprint(billing.blueprint)
    app.register_blueprint(tasks.blueprint)
    app.register_blueprint(notices.blueprint)
    app.extensions["send_queued_mails"] = notices.send_queued_mails
    app.register_blueprint(pricing.blueprint)
    app.register_blueprint(webhooks.webhooks)
    app.register_blueprint(health.blueprint)
    # Further blueprints stand above this line: a route that does not say who may use it stops the start.
    access.require_declarations(app)

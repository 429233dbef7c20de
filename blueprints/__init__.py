"""Routes: parse, authorise, call one operation, answer."""

from flask import Flask

from blueprints import (
    access,
    api,
    assets,
    auth,
    browser_session,
    error_pages,
    filters,
    mail,
    members,
    request_log,
    security,
    shell,
)


def register(app: Flask) -> None:
    """Put every blueprint on the app."""
    request_log.register(app)
    security.register(app)
    browser_session.register(app)
    error_pages.register(app)
    assets.register(app)
    filters.register(app)
    shell.register(app)
    mail.register(app)
    api.register(app)
    app.register_blueprint(auth.blueprint)
    app.register_blueprint(members.blueprint)
    # Further blueprints stand above this line: a route that does not say who may use it stops the start.
    access.require_declarations(app)

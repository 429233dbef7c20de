"""The cookie of a signed-in browser, and who it is."""

from flask import Flask, Request, current_app, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_login import current_user
from werkzeug.wrappers import Response

from blueprints.safe_redirect import safe_path
from config import Settings
from extensions import login_manager
from services.accounts import sessions
from services.accounts.sessions import SignedIn
from services.accounts.sign_in import Browser


class FormsSessionInterface(SecureCookieSessionInterface):
    """Flask's signed cookie, left alone by requests that neither bring it nor use it: all of the API's."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """What the cookie holds; without one, no signature is prepared to check it."""
        if self.get_cookie_name(app) in request.cookies:
            return super().open_session(app, request)
        return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write the cookie where the session was looked at or holds something."""
        if session.accessed or session.modified or len(session):
            super().save_session(app, session, response)


def register(app: Flask) -> None:
    """Let Flask-Login find the person of a request by our cookie alone."""
    app.session_interface = FormsSessionInterface()
    # Flask-Login's own marker in the signed cookie could not be revoked; it is never written nor read.
    app.config["SESSION_PROTECTION"] = None
    login_manager.request_loader(_person_of)
    app.jinja_env.globals["current_user"] = current_user


def cookie_name() -> str:
    """``__Host-`` binds the cookie to this host and to TLS; browsers refuse it over plain HTTP."""
    return "__Host-coffer" if _settings().is_https else "coffer"


def browser() -> Browser:
    """Where the present request comes from."""
    return Browser(request.remote_addr or "", request.user_agent.string)


def begin(response: Response, token: str) -> Response:
    """Put a new session's token into the browser; whatever session it had is ended.

    Where the person signs in with a code too, the browser is sent to give it first.
    """
    end_session()
    if sessions.awaiting_code(token) is not None:
        response.location = url_for("auth.second_step", next=safe_path(response.location))
    response.set_cookie(
        cookie_name(),
        token,
        max_age=int(sessions.ABSOLUTE.total_seconds()),
        path="/",
        secure=_settings().is_https,
        httponly=True,
        samesite="Lax",
    )
    return response


def end(response: Response) -> Response:
    """Sign the browser out: the row is ended, the cookies go."""
    end_session()
    response.delete_cookie(
        cookie_name(), path="/", secure=_settings().is_https, httponly=True, samesite="Lax"
    )
    return response


def end_session() -> None:
    """End the session that the request came with, and forget what Flask's own cookie kept."""
    old_token = request.cookies.get(cookie_name())
    if old_token:
        sessions.revoke_token(old_token)
    session.clear()


def _person_of(incoming: Request) -> SignedIn | None:
    token = incoming.cookies.get(cookie_name())
    if not token:
        return None
    # The header's balance is polled as long as a page is open: that is no sign of anyone sitting there.
    return sessions.find_session(token, touch=not incoming.path.startswith("/api/"))


def _settings() -> Settings:
    return current_app.extensions["settings"]

"""Signing in with a token that the team's own program has signed for its customer."""

from flask import current_app, redirect, request
from werkzeug.wrappers import Response

from blueprints import browser_session
from blueprints.access import public
from blueprints.auth.blueprint import blueprint
from blueprints.safe_redirect import safe_path
from errors import Unauthorized
from services.accounts.accounts import account_by_name
from services.accounts.callers import slug_of
from services.accounts.signed_tokens import sign_in_with_token


@blueprint.get("/sso")
@public
def single_sign_on() -> Response:
    """Begin a session for whom the token names, in the account it names; the address is left at once."""
    terms = current_app.extensions["token_terms"]
    given = request.args.getlist("token")
    if len(given) != 1:
        raise Unauthorized("The address carries no sign-in token.")
    session, account = sign_in_with_token(given[0], terms, browser_session.browser())
    target = safe_path(request.args.get("next")) or f"/home/{slug_of(account_by_name(account))}/overview"
    return browser_session.begin(redirect(target, 303), session)

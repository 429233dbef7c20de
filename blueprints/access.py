"""Who may use a route. Every route says so; an app with one that does not refuses to start.

Decorators, below ``@blueprint.route``:

- ``@public``: anyone
- ``@signed_in``: anyone with a session
- ``@account_member("viewer" | "member" | "owner")``: whoever has at least this role in the account of the
  route's ``<account>``; operators too. The view gets the ``OpenAccount`` as ``account``; ``g.account`` and
  ``g.role`` are set. Not one's own and not there are the same 404.
- ``@operator_only``: operators; to others the route does not exist
- ``@declared("api:read")`` or ``declare(view, "api:read")``: a marker alone, where the check is elsewhere
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import flask_babel
from flask import Flask, Response, abort, g, redirect, request, session, url_for
from flask_login import current_user

from blueprints.viewing import refuse_changes, viewed_role
from errors import NotFound
from services.accounts.access import RANKS, open_account
from services.accounts.sessions import SignedIn

View = TypeVar("View", bound=Callable[..., Any])
ATTRIBUTE = "coffer_access"
LAST_ACCOUNT = "last_account"


def declare(view: View, access: str) -> View:
    """Write on a view who may use it; wrappers made with ``functools.wraps`` carry it on."""
    setattr(view, ATTRIBUTE, access)
    return view


def declared(access: str) -> Callable[[View], View]:
    """``declare`` as a decorator."""
    return lambda view: declare(view, access)


def api_access(scope: str) -> Callable[[View], View]:
    """Mark a route of the JSON API with the scope that its callers need; the API checks it."""
    return declared(f"api:{scope}")


def public(view: View) -> View:
    """Anyone may use this route."""
    return declare(view, "public")


def signed_in(view: View) -> View:
    """Whoever is signed in may use this route."""

    @functools.wraps(view)
    def run(*args: Any, **kwargs: Any) -> Any:
        person()
        return view(*args, **kwargs)

    return declare(run, "signed_in")  # type: ignore[return-value]


def operator_only(view: View) -> View:
    """Operators may use this route; for everybody else it does not exist."""

    @functools.wraps(view)
    def run(*args: Any, **kwargs: Any) -> Any:
        if not person().is_operator:
            raise NotFound("There is nothing here.")
        return view(*args, **kwargs)

    return declare(run, "operator")  # type: ignore[return-value]


def account_member(role: str = "viewer") -> Callable[[View], View]:
    """Members of the route's account with at least this role may use it."""
    assert role in RANKS, role

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def run(*args: Any, account: str, **kwargs: Any) -> Any:
            visitor = person()
            viewed_as = viewed_role(account)
            g.account = open_account(account, visitor.user_id, visitor.is_operator, role, viewed_as=viewed_as)
            if viewed_as is not None:
                refuse_changes(account, viewed_as)
            g.role = g.account.role
            if session.get(LAST_ACCOUNT) != g.account.slug:
                session[LAST_ACCOUNT] = g.account.slug
            flask_babel.refresh()  # from here on in the account's language and time zone
            return view(*args, account=g.account, **kwargs)

        return declare(run, f"account:{role}")  # type: ignore[return-value]

    return decorate


def person() -> SignedIn:
    """Whoever is signed in; anybody else is sent to sign in, and back afterwards."""
    if current_user.is_authenticated:
        return current_user._get_current_object()
    abort(_to_sign_in())


def _to_sign_in() -> Response:
    is_page = request.method in ("GET", "HEAD")
    there = request.full_path.removesuffix("?") if is_page else None
    address = url_for("auth.sign_in", next=there if there != "/" else None)
    if request.headers.get("HX-Request"):
        return Response(status=401, headers={"HX-Redirect": url_for("auth.sign_in")})
    return redirect(address, 302 if is_page else 303)  # type: ignore[return-value]


def access_of(app: Flask) -> dict[str, str | None]:
    """What each endpoint declares; None: nothing."""
    return {
        rule.endpoint: _declared_by(app.view_functions[rule.endpoint]) for rule in app.url_map.iter_rules()
    }


def require_declarations(app: Flask) -> None:
    """Refuse to start with a route that does not say who may use it."""
    silent = sorted(endpoint for endpoint, access in access_of(app).items() if access is None)
    if silent:
        raise RuntimeError(f"These routes do not declare who may use them: {', '.join(silent)}")


def _declared_by(view: Any) -> str | None:
    while view is not None:
        access = getattr(view, ATTRIBUTE, None)
        if access is not None:
            return access
        view = getattr(view, "__wrapped__", None) or getattr(view, "view_class", None)
    return None

"""A page of the team's own site: the balance by one tag, and a customer let in without a password."""

import time
from typing import Any

import jwt
import pytest

from tests.browser.conftest import Visits
from tests.browser.instance import OTHER_SITE, TOKEN_SECRET


def token(**claims: Any) -> str:
    facts = {"sub": "northwind", "exp": int(time.time()) + 120} | claims
    return jwt.encode(facts, TOKEN_SECRET, "HS256")


def site(page: Any, body: str) -> None:
    """Serve the site's one page, and the address at which it hands out a token."""
    html = f"<!doctype html><html lang=en><title>Northwind</title><p>Credits:</p>{body}</html>"
    # A site that is answered here has no address on the machine, and a stranger may not call loopback.
    page.context.grant_permissions(["local-network-access"], origin=OTHER_SITE)
    page.route(f"{OTHER_SITE}/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.route(f"{OTHER_SITE}/token", lambda route: route.fulfill(body=token(), content_type="text/plain"))
    page.route(f"{OTHER_SITE}/favicon.ico", lambda route: route.fulfill(status=204))
    page.goto(f"{OTHER_SITE}/")


@pytest.mark.parametrize(
    "tag",
    [
        '<script type="module" src="{0}/static/js/balance-widget.js" data-token-url="/token"></script>',
        '<coffer-balance token-url="/token"></coffer-balance>'
        '<script type="module" src="{0}/static/js/balance-widget.js"></script>',
    ],
)
def test_one_tag_shows_the_balance_of_another_sites_customer(visits: Visits, tag: str) -> None:
    page = visits.open(None)
    site(page, tag.format(visits.instance.address))
    page.locator("coffer-balance [data-state=shown]").wait_for()
    shown = page.locator("coffer-balance").evaluate("element => element.shadowRoot.textContent")
    assert shown == visits.instance.call("/api/credits/balance")["formatted"]
    assert page.context.cookies() == []


def test_a_signed_token_opens_the_account_without_a_password(visits: Visits) -> None:
    page = visits.open(None)
    one = token(aud="coffer-sso", jti=f"visit-{time.time_ns()}", email="guest@northwind.example")
    page.goto(f"/sso?token={one}")
    assert page.url.endswith("/home/northwind/overview")
    assert "token" not in page.url

"""Every page, light and dark, wide and narrow: nothing for axe or the console to complain of."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.checkout import HOME, NEEDS_3DS, buy, pay, to_checkout
from tests.browser.conftest import MARIA, OPERATOR, SAM, Visits

FIRST_VISIT_BYTES, LATER_PAGE_BYTES = 80_000, 7_500
# An animation that was interrupted by a change of size may never end: a second is enough for all of ours.
SETTLED = """() => Promise.race([new Promise(done => setTimeout(done, 1000)), Promise.all(
  document.getAnimations().filter(one => one.effect.getComputedTiming().iterations !== Infinity)
  .map(one => one.finished.catch(() => 0)))]).then(() => true)"""
MISSING_ICONS = """async () => {
  const sprites = {};
  const missing = [];
  for (const use of document.querySelectorAll("use")) {
    const [path, name] = use.getAttribute("href").split("#");
    sprites[path] ??= new DOMParser().parseFromString(await (await fetch(path)).text(), "image/svg+xml");
    if (!sprites[path].getElementById(name)) missing.push(name);
  }
  return missing;
}"""


def _first_line(page: Any) -> None:
    page.goto(f"{HOME}/usage")
    page.locator("#history .row-link").first.click()
    page.wait_for_url(re.compile(r"/usage/\d+"))


def _confirm(page: Any) -> None:
    to_checkout(page)
    pay(page, NEEDS_3DS)
    page.wait_for_url("**/confirm**")


def _receipt(page: Any) -> None:
    page.goto(f"{HOME}/billing")
    page.get_by_role("link", name="Invoice").first.click()
    page.wait_for_url("**/sandbox/invoices/**")


def _own_prices(page: Any) -> None:
    page.goto("/home/byteworks/overview")
    page.goto("/pricing/devtools")


def _first_event(page: Any) -> None:
    page.goto("/operator/events")
    page.locator("table .row-link").first.click()
    page.wait_for_url("**/operator/events/evt_*")


def _first_payment(page: Any) -> None:
    page.goto("/operator/accounts/northwind/payments")
    page.locator("table .row-link").first.click()
    page.wait_for_url("**/payments/*")


def _at(path: str) -> Callable[[Any], None]:
    return lambda page: page.goto(path)


SIGNED_IN: dict[str, Callable[[Any], None]] = {
    "overview": _at(f"{HOME}/overview"),
    "usage": _at(f"{HOME}/usage"),
    "usage filtered to nothing": _at(f"{HOME}/usage?text=nothing+like+it"),
    "usage with a wrong filter": _at(f"{HOME}/usage?since=2026-11-02&until=2026-11-01"),
    "usage with meters": _at("/home/byteworks/usage?days=7&meter=api_calls"),
    "line": _first_line,
    "billing": _at(f"{HOME}/billing"),
    "buy credits": _at(f"{HOME}/billing?buy-credits=1"),
    "cancel a plan": _at("/home/byteworks/billing?cancel=1"),
    "plans": _at("/home/byteworks/plans"),
    "plan chosen": _at("/home/byteworks/plans?plan=team&interval=year"),
    "own prices": _own_prices,
    "notices": _at("/home/byteworks/notices"),
    "settings of notices": _at("/home/byteworks/notices/settings"),
    "try a task": _at("/home/northwind/tasks/try?quantity-poster=400"),
    "change of plan": _at("/home/byteworks/billing/change?plan=team&interval=month"),
    "overview with meters": _at("/home/byteworks/overview"),
    "wallet": _at("/home/signalpost/billing"),
    "add funds": _at("/home/signalpost/billing?add-funds=1"),
    "spending": _at("/home/signalpost/billing/spending"),
    "success": buy,
    "members": _at(f"{HOME}/members"),
    "profile": _at("/profile"),
    "second step": _at("/profile/second-step"),
    "checkout": to_checkout,
    "3-D Secure": _confirm,
    "receipt": _receipt,
    "not there": _at("/no/such/page"),
}
CONSOLE = {
    "figures": _at("/operator"),
    "accounts": _at("/operator/accounts"),
    "events": _at("/operator/events"),
    "an event": _first_event,
    "reconcile": _at("/operator/reconcile"),
    "payments of an account": _at("/operator/accounts/northwind/payments"),
    "a payment": _first_payment,
    "jobs": _at("/operator/jobs"),
    "mail": _at("/operator/mail"),
    "proof": _at("/operator/proof"),
    "audit log": _at("/operator/audit"),
    "time travel": _at("/operator/time-travel"),
    "settings in force": _at("/operator/settings"),
}
PUBLIC = {
    "sign in": _at("/sign-in"),
    "forgot password": _at("/password/forgot"),
    "pricing": _at("/pricing"),
    "pricing with limits": _at("/pricing/devtools"),
    "API": _at("/api/docs"),
}
ALL = [
    *((name, MARIA, go) for name, go in SIGNED_IN.items()),
    *((name, OPERATOR, go) for name, go in CONSOLE.items()),
    ("locked", SAM, _at("/home/juniper/overview")),
    *((name, None, go) for name, go in PUBLIC.items()),
]


def violations(page: Any) -> list[str]:
    """What axe finds, as lines that name the rule and the element."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page.evaluate(SETTLED)
    if page.evaluate("window.axe === undefined"):
        page.evaluate(axe.Axe().axe_script)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [f"{rule['id']}: {node['html'][:160]}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize(("name", "person", "go"), ALL, ids=[name for name, *_ in ALL])
def test_page_has_no_violation_in_either_theme_at_either_width(
    visits: Visits, name: str, person: str | None, go: Callable[[Any], None]
) -> None:
    visits.expected = ("status of 404",) if name == "not there" else ()
    page = visits.open(person)
    go(page)
    found = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            found += [f"{theme}, {width}: {line}" for line in violations(page)]
            if page.evaluate("document.documentElement.scrollWidth") > width:
                found.append(f"{theme}, {width}: scrolls sideways")
    assert found == []
    assert page.locator("h1").count() == 1
    if "/sandbox/" not in page.url:
        assert page.evaluate(MISSING_ICONS) == []


def _transferred(page: Any, path: str) -> dict[str, int]:
    """Bytes on the wire by address, headers left out."""
    sizes: dict[str, int] = {}
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    names: dict[str, str] = {}
    client.on("Network.responseReceived", lambda e: names.update({e["requestId"]: e["response"]["url"]}))
    client.on("Network.dataReceived", lambda e: sizes.update(
        {names[e["requestId"]]: sizes.get(names[e["requestId"]], 0) + e["encodedDataLength"]}))  # fmt: skip
    page.goto(path, wait_until="networkidle")
    client.detach()
    return sizes


def test_first_visit_and_later_pages_are_light(visits: Visits) -> None:
    page = visits.open()
    first = _transferred(page, f"{HOME}/overview")
    assert len(first) > 12
    assert sum(first.values()) < FIRST_VISIT_BYTES, first
    for path in (f"{HOME}/billing", f"{HOME}/usage", f"{HOME}/overview"):
        later = _transferred(page, path)
        assert sum(later.values()) < LATER_PAGE_BYTES, later
        assert page.evaluate("performance.getEntriesByType('navigation')[0].encodedBodySize") > 1000


def test_policy_stops_what_a_page_must_not_do(visits: Visits) -> None:
    """The watch over the consoles would see a violation: here is one, and it is blocked."""
    page = visits.open()
    page.goto(f"{HOME}/overview")
    page.evaluate(
        """() => { const script = document.createElement("script");
           script.textContent = "window.ran = true"; document.body.append(script); }"""
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in said for said in visits.complaints)
    visits.complaints.clear()

"""The look in a browser: no accessibility violation, no complaint under the policy, nothing too wide."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.look.harness import ERROR_STATUSES

pytestmark = pytest.mark.browser
PAGES = [
    "/styleguide",
    "/samples/overview",
    "/samples/overview?state=locked",
    "/samples/usage",
    "/samples/usage?text=nothing",
    "/samples/billing",
    "/samples/billing?buy-credits=1",
    "/samples/sign-in",
    "/errors/404",
]
# The product's own pages go through axe in tests/browser; here it is every component, and what errors show.
PAGES_FOR_AXE = ["/styleguide", "/samples/overview", "/errors/404"]
OpenPage = Callable[..., Any]
SETTLED = """() => Promise.all(document.getAnimations()
  .filter((one) => one.effect.getComputedTiming().iterations !== Infinity)
  .map((one) => one.finished.catch(() => 0)))"""
TARGETS = "button, summary, select, input:not([type=hidden],[type=checkbox])"


def violations(page: Any) -> list[str]:
    """What axe finds, as lines that name the rule and the element."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page.evaluate(SETTLED)
    found = axe.Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html'][:160]}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES_FOR_AXE)
def test_page_has_no_violation_and_is_not_too_wide(
    open_page: OpenPage, path: str, theme: str, width: int
) -> None:
    page = open_page(path, width=width, theme=theme)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("path", PAGES)
def test_page_at_320_pixels_does_not_scroll_sideways(open_page: OpenPage, path: str) -> None:
    page = open_page(path, width=320)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("path", PAGES)
def test_every_icon_is_in_the_sprite(open_page: OpenPage, path: str) -> None:
    page = open_page(path)
    missing = page.evaluate(
        """async () => {
          const sprite = new DOMParser().parseFromString(
            await (await fetch("/static/icons/sprite.svg")).text(), "image/svg+xml");
          return [...document.querySelectorAll("use")].map((use) => use.getAttribute("href").split("#")[1])
            .filter((name) => !sprite.getElementById(name));
        }"""
    )
    assert missing == []


@pytest.mark.parametrize("path", PAGES)
def test_target_is_at_least_24_pixels(open_page: OpenPage, path: str) -> None:
    page = open_page(path, width=390)
    small = page.evaluate(
        """(targets) => [...document.querySelectorAll(targets)]
          .filter((one) => one.checkVisibility() && !one.closest(".visually-hidden"))
          .filter((one) => Math.min(one.offsetWidth, one.offsetHeight) < 24)
          .map((one) => one.outerHTML.slice(0, 120))""",
        TARGETS,
    )
    assert small == []


def test_tab_bar_targets_are_48_pixels(open_page: OpenPage) -> None:
    page = open_page("/samples/overview", width=390)
    heights = page.eval_on_selector_all(".nav-link", "links => links.map(link => link.offsetHeight)")
    assert heights and min(heights) >= 48


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_open_layers_have_no_violation(open_page: OpenPage, theme: str) -> None:
    page = open_page("/styleguide", theme=theme)
    page.locator("[popovertarget=sample-popover]").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator(".menu-account summary").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator("[data-dialog-open=sample-confirm]").click()
    assert violations(page) == []


def test_refused_form_names_its_fields(open_page: OpenPage) -> None:
    page = open_page("/samples/sign-in")
    page.evaluate("document.querySelector('form').noValidate = true")
    page.get_by_role("button", name="Sign in").click()
    page.locator("[role=alert] a[href='#email']").click()
    assert page.evaluate("document.activeElement.id") == "email"
    field = page.locator("#email")
    assert field.get_attribute("aria-invalid") == "true"
    assert field.get_attribute("aria-describedby") == "email-error"
    assert violations(page) == []


@pytest.mark.parametrize("status", ERROR_STATUSES)
def test_error_page_says_what_to_do(open_page: OpenPage, status: int) -> None:
    page = open_page(f"/errors/{status}")
    assert page.locator("h1").count() == 1
    assert page.get_by_text(f"Error {status}").is_visible()
    assert page.get_by_role("link", name="Back to the start").get_attribute("href") == "/"


@pytest.mark.parametrize("path", ["/samples/overview", "/samples/usage", "/samples/billing?buy-credits=1"])
def test_page_without_javascript_shows_everything(open_page: OpenPage, path: str) -> None:
    page = open_page(path, scripts=False)
    assert page.locator("h1").is_visible()
    assert not page.locator(".theme-toggle").is_visible()
    if "buy-credits" in path:
        assert page.locator("dialog#buy-credits").is_visible()

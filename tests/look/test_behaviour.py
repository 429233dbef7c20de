"""What app.js adds, used by keyboard as much as by mouse."""

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Any]


def focused(page: Any) -> str:
    """The words or the id of the element that has the focus."""
    return page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id")


class TestPopover:
    def test_enter_opens_and_escape_closes_with_focus_returned(self, open_page: OpenPage) -> None:
        page = open_page("/samples/overview")
        button = page.get_by_role("button", name="Credit breakdown")
        button.focus()
        page.keyboard.press("Enter")
        assert page.locator("#breakdown").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("#breakdown").is_visible()
        assert button.evaluate("one => one === document.activeElement")

    def test_it_opens_beside_its_button_and_within_the_window(self, open_page: OpenPage) -> None:
        page = open_page("/samples/overview", width=390)
        page.get_by_role("button", name="Credit breakdown").click()
        box, anchor = (
            page.locator("#breakdown").bounding_box(),
            page.locator("[popovertarget=breakdown]").bounding_box(),
        )
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert abs(box["y"] - anchor["y"] - anchor["height"]) < 16

    def test_it_opens_without_javascript(self, open_page: OpenPage) -> None:
        page = open_page("/samples/overview", scripts=False)
        page.get_by_role("button", name="Credit breakdown").click()
        assert page.locator("#breakdown").is_visible()


class TestDialog:
    def test_focus_starts_on_keep_and_returns_to_the_button(self, open_page: OpenPage) -> None:
        page = open_page("/samples/billing")
        opener = page.get_by_role("link", name="Cancel plan")
        opener.focus()
        page.keyboard.press("Enter")
        assert page.locator("#cancel-plan").is_visible()
        assert focused(page) == "Keep plan"
        page.keyboard.press("Enter")
        assert not page.locator("#cancel-plan").is_visible()
        assert opener.evaluate("one => one === document.activeElement")

    def test_escape_closes_it(self, open_page: OpenPage) -> None:
        page = open_page("/samples/billing")
        page.get_by_role("link", name="Buy credits").click()
        assert page.locator("#buy-credits").evaluate("one => one.matches(':modal')")
        page.keyboard.press("Escape")
        assert not page.locator("#buy-credits").is_visible()

    def test_drawn_open_by_the_server_it_becomes_modal(self, open_page: OpenPage) -> None:
        page = open_page("/samples/billing?buy-credits=1")
        assert page.locator("#buy-credits").evaluate("one => one.matches(':modal')")


class TestTheme:
    def test_toggle_is_remembered_by_the_server(self, open_page: OpenPage) -> None:
        page = open_page("/samples/overview")
        page.get_by_role("button", name="Dark theme").click()
        assert page.locator("html").get_attribute("data-theme") == "dark"
        assert 'data-theme="dark"' in page.request.get(page.url).text()
        page.get_by_role("button", name="Dark theme").click()
        assert 'data-theme="light"' in page.request.get(page.url).text()

    def test_unknown_cookie_is_ignored(self, open_page: OpenPage, address: str) -> None:
        page = open_page("/samples/overview")
        page.context.add_cookies([{"name": "theme", "value": '"><b>', "url": address}])
        assert "data-theme=" not in page.request.get(page.url).text().split("<head>")[0]


class TestMenu:
    def test_escape_closes_the_account_menu_with_focus_returned(self, open_page: OpenPage) -> None:
        page = open_page("/samples/overview")
        summary = page.locator(".menu-account summary")
        summary.focus()
        page.keyboard.press("Enter")
        assert page.get_by_role("link", name="Fabrikam").is_visible()
        page.keyboard.press("Escape")
        assert not page.get_by_role("link", name="Fabrikam").is_visible()
        assert summary.evaluate("one => one === document.activeElement")

    def test_skip_link_is_first_and_leads_to_the_content(self, open_page: OpenPage) -> None:
        page = open_page("/samples/overview")
        page.keyboard.press("Tab")
        assert focused(page) == "Skip to content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


class TestBalance:
    def test_it_follows_the_api_after_an_action(self, open_page: OpenPage) -> None:
        page = open_page("/samples/overview")
        assert page.locator(".balance-chip strong").inner_text() == "6,340"
        page.evaluate("document.body.dispatchEvent(new CustomEvent('htmx:afterRequest', {bubbles: true}))")
        page.locator(".balance-chip strong", has_text="6,180").wait_for()
        assert page.locator(".figure[data-balance]").inner_text() == "6,180"

    def test_the_second_question_carries_the_tag_and_is_answered_304(self, open_page: OpenPage) -> None:
        page = open_page("/samples/overview")
        ask = "document.body.dispatchEvent(new CustomEvent('htmx:afterRequest', {bubbles: true}))"
        with page.expect_response("**/api/credits/balance*") as first:
            page.evaluate(ask)
        first.value.finished()
        page.locator(".balance-chip strong", has_text="6,180").wait_for()
        with page.expect_response("**/api/credits/balance*") as second:
            page.evaluate(ask)
        assert (first.value.status, second.value.status) == (200, 304)
        page.wait_for_timeout(100)
        with page.expect_response("**/api/credits/balance*") as third:
            page.evaluate(ask)
        assert third.value.status == 304


class TestHistory:
    def test_filter_swaps_the_table_and_the_address(self, open_page: OpenPage) -> None:
        page = open_page("/samples/usage")
        page.get_by_label("Search").fill("nothing")
        page.get_by_role("button", name="Apply").click()
        page.get_by_text("Nothing matches these filters.").wait_for()
        assert "text=nothing" in page.url
        assert page.locator("#history").count() == 1

    def test_chart_tells_its_values_by_arrow_keys(self, open_page: OpenPage) -> None:
        page = open_page("/samples/usage")
        page.locator(".chart-frame").focus()
        page.keyboard.press("End")
        assert "Nov 20, 2026" in page.locator(".chart-tip").inner_text()
        page.keyboard.press("ArrowLeft")
        assert "Nov 19, 2026" in page.locator(".chart-tip").inner_text()
        page.keyboard.press("Escape")
        assert not page.locator(".chart-tip").is_visible()


class TestSubmitOnce:
    def test_package_is_bought_once_and_shows_that_it_works_on_it(self, open_page: OpenPage) -> None:
        page = open_page("/samples/overview")
        sent: list[str] = []
        page.on("request", lambda one: one.method == "POST" and sent.append(one.post_data))
        button = page.locator("button[value=p1000]")
        button.click()
        page.locator("button[value=p1000][disabled]").wait_for()
        button.dispatch_event("click")
        assert button.get_attribute("aria-busy") == "true"
        assert len(sent) == 1 and "package=p1000" in sent[0]


class TestToast:
    def test_flashed_message_is_in_the_status_region_and_can_be_dismissed(self, open_page: OpenPage) -> None:
        page = open_page("/samples/billing")
        toast = page.locator("[role=status] .toast").get_by_text("Payment received. 5,000 credits added.")
        toast.wait_for()
        page.get_by_role("button", name="Dismiss").click()
        assert toast.count() == 0

"""Looking things up, switching account and theme, the keyboard, signing out."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.checkout import HOME, balance_shown
from tests.browser.conftest import MARIA, SAM, Visits, sign_in


@pytest.fixture
def page(visits: Visits) -> Any:
    opened = visits.open()
    opened.goto(f"{HOME}/overview")
    return opened


def ids_shown(page: Any) -> list[int]:
    """The ids of the lines on a page of the history, from their links."""
    links = page.locator("#history .row-link").evaluate_all("all => all.map(link => link.pathname)")
    return [int(link.rsplit("/", 1)[1]) for link in links]


def test_account_without_a_plan_is_locked_and_shows_the_plans(visits: Visits) -> None:
    page = visits.open(SAM)
    page.goto("/home/juniper/overview")
    assert page.get_by_text("No active plan").is_visible()
    assert page.get_by_text("Top-ups are for subscribers").is_visible()
    assert page.locator("main .packages").count() == 0
    page.locator(".locked").get_by_role("link", name="View plans").click()
    page.wait_for_url("**/pricing")
    assert page.get_by_role("heading", name="Professional").is_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_paging_forward_and_back_shows_each_line_once(visits: Visits, scripts: bool) -> None:
    page = visits.open(java_script_enabled=scripts)
    page.goto(f"{HOME}/usage")
    total = int(re.search(r"of (\d+)", page.locator(".pagination p").inner_text())[1])  # type: ignore[index]
    seen = [ids_shown(page)]
    while page.get_by_role("link", name="Next").count():
        before = page.locator(".pagination p").inner_text()
        page.get_by_role("link", name="Next").click()
        page.wait_for_url("**cursor=**")
        page.locator(".pagination p").filter(has_not_text=before).wait_for()
        seen.append(ids_shown(page))
    walked = [number for shown in seen for number in shown]
    assert len(seen) > 1 and len(walked) == len(set(walked)) == total
    assert walked == sorted(walked, reverse=True)
    page.get_by_role("link", name="Previous").click()
    page.wait_for_url("**newer_than=**")
    page.locator(".pagination p").filter(has_text=re.compile("^1–|^51–")).wait_for()
    assert ids_shown(page) == seen[-2]


def test_filter_shows_only_what_it_says_and_stays_in_the_address(page: Any) -> None:
    page.goto(f"{HOME}/usage")
    page.get_by_label("Type").select_option("purchase")
    page.wait_for_url("**type=purchase**")
    page.locator("#history tbody tr").filter(has_text="Usage").first.wait_for(state="detached")
    amounts = page.locator("#history td.cell-lead").all_inner_texts()
    assert amounts and all(text.startswith("+") for text in amounts)
    page.reload()
    assert page.get_by_label("Type").input_value() == "purchase"
    page.goto(f"{HOME}/usage?text=poster")
    found = page.locator("#history .row-link").all_inner_texts()
    assert found and all("poster" in text.lower() for text in found)


def test_wrong_date_is_named_beside_its_field(page: Any) -> None:
    page.goto(f"{HOME}/usage?since=2026-11-02&until=2026-11-01")
    page.locator("[role=alert] a").click()
    assert page.evaluate("document.activeElement.name") == "until"


def test_csv_holds_every_line_of_the_filter(page: Any, tmp_path: Path) -> None:
    page.goto(f"{HOME}/usage?type=usage")
    total = int(re.search(r"of (\d+)", page.locator(".pagination p").inner_text())[1])  # type: ignore[index]
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV").click()
    assert waiting.value.suggested_filename == "northwind-history.csv"
    waiting.value.save_as(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == total and {line["type"] for line in lines} <= {"usage", "refund"}


def test_line_names_the_lots_whose_parts_make_its_amount(page: Any) -> None:
    page.goto(f"{HOME}/usage?type=usage")
    page.locator("#history .row-link").first.click()
    page.wait_for_url(re.compile(r"/usage/\d+"))

    def number(text: str) -> int:
        return int(text.replace("−", "-").replace(",", "").replace("+", ""))

    parts = page.locator("tbody td.cell-lead").all_inner_texts()
    assert sum(map(number, parts)) == number(page.locator("p.figure").inner_text())
    page.get_by_role("link", name="History").click()
    page.wait_for_url("**/usage")


def test_switcher_leads_to_the_other_account(page: Any) -> None:
    page.locator(".menu-account summary").click()
    page.locator(".menu-account").get_by_role("link", name="Byteworks").click()
    page.wait_for_url("**/home/byteworks/overview")
    assert page.locator(".page-title p").inner_text() == "Byteworks"
    page.goto("/")
    page.wait_for_url("**/home/byteworks/overview")


def test_theme_is_kept_and_is_there_before_the_first_paint(page: Any) -> None:
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark theme").click()
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert before != after
    answer = page.request.get(f"{HOME}/usage")
    assert 'data-theme="dark"' in answer.text().split("<head>")[0]
    page.goto(f"{HOME}/usage")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after
    assert page.get_by_role("button", name="Dark theme").get_attribute("aria-pressed") == "true"


def test_popover_and_dialog_by_keyboard_alone(page: Any) -> None:
    opener = page.locator("[popovertarget=breakdown]")
    opener.focus()
    page.keyboard.press("Enter")
    assert page.locator("#breakdown").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#breakdown").is_visible()
    assert page.evaluate("document.activeElement.getAttribute('popovertarget')") == "breakdown"
    page.goto(f"{HOME}/billing")
    link = page.get_by_role("link", name="Buy credits")
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog#buy-credits")
    assert dialog.is_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.textContent.trim()") == "Buy credits"


def test_first_tab_stop_leads_to_the_content(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_popover_opens_by_touch(visits: Visits) -> None:
    page = visits.open(has_touch=True, viewport={"width": 390, "height": 844})
    page.goto(f"{HOME}/overview")
    page.locator("[popovertarget=breakdown]").tap()
    assert "Subscription" in page.locator("#breakdown").inner_text()


def test_sign_out_ends_the_session_also_for_a_copied_cookie(visits: Visits) -> None:
    page = visits.open(None)
    sign_in(page, MARIA, visits.instance.password_of(MARIA))
    page.goto(f"{HOME}/overview")
    assert balance_shown(page) > 0
    copied = page.context.cookies()
    page.locator(".menu-user summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in**")
    page.goto(f"{HOME}/overview")
    assert "/sign-in" in page.url
    thief = visits.open(None)
    thief.context.add_cookies(copied)
    thief.goto(f"{HOME}/overview")
    assert "/sign-in" in thief.url


def test_back_after_sign_out_shows_nothing(visits: Visits) -> None:
    page = visits.open(None)
    sign_in(page, MARIA, visits.instance.password_of(MARIA))
    page.goto(f"{HOME}/billing")
    page.locator(".menu-user summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in**")
    page.go_back()
    page.wait_for_load_state()
    assert page.get_by_text("Payment history").count() == 0

"""A package is bought: the credits arrive once, whatever the customer does on the way."""

import re
from decimal import Decimal
from typing import Any

import pytest

from tests.browser.checkout import (
    DECLINED,
    GOOD,
    HOME,
    NEEDS_3DS,
    balance_shown,
    buy,
    pay,
    payments_shown,
    to_checkout,
)
from tests.browser.conftest import Visits

REFUSED = "status of 402"


@pytest.fixture
def page(visits: Visits) -> Any:
    opened = visits.open()
    opened.goto(f"{HOME}/overview")
    return opened


def test_good_card_brings_credits_a_line_with_its_lot_and_a_receipt(page: Any, visits: Visits) -> None:
    before = balance_shown(page)
    buy(page, "$9.00")
    assert page.get_by_text("1,000 credits are yours").is_visible()
    assert balance_shown(page) == before + 1000
    assert visits.instance.call("/api/credits/balance")["balances"][0]["formatted"] == f"{before + 1000:,}"
    page.goto(f"{HOME}/usage")
    row = page.locator("#history tbody tr").first
    assert "+1,000" in row.inner_text() and f"{before + 1000:,}" in row.inner_text()
    row.locator("a").click()
    lots = page.locator("#lots-title").locator("xpath=ancestor::section").locator("tbody tr")
    assert lots.count() == 1 and "+1,000" in lots.inner_text() and "Never" in lots.inner_text()
    page.goto(f"{HOME}/billing")
    payment = page.locator("tbody tr").first
    assert "$9.00" in payment.inner_text() and "Paid" in payment.inner_text()
    payment.get_by_role("link", name="Invoice").click()
    page.wait_for_url("**/sandbox/invoices/**")
    assert page.locator(".sum").inner_text().split() == ["Total", "$9.00"]


def test_success_page_seen_again_credits_nothing_more(page: Any) -> None:
    buy(page)
    after = balance_shown(page)
    page.reload()
    assert balance_shown(page) == after
    page.go_back()
    page.goto(f"{HOME}/overview")
    assert balance_shown(page) == after


def test_declined_card_then_a_good_one(page: Any, visits: Visits) -> None:
    visits.expected = (REFUSED,)
    before = balance_shown(page)
    to_checkout(page)
    pay(page, DECLINED)
    assert page.get_by_role("alert").inner_text() == "Your card was declined."
    assert visits.instance.call("/api/credits/balance")["balances"][0]["formatted"] == f"{before:,}"
    pay(page, GOOD)
    page.wait_for_url("**/billing/success**")
    assert balance_shown(page) == before + 500


@pytest.mark.parametrize("outcome", ["Complete", "Fail"])
def test_three_d_secure(page: Any, visits: Visits, outcome: str) -> None:
    visits.expected = (REFUSED,)
    before = balance_shown(page)
    to_checkout(page)
    pay(page, NEEDS_3DS)
    page.get_by_role("button", name=outcome).click()
    if outcome == "Complete":
        page.wait_for_url("**/billing/success**")
    else:
        assert "You did not confirm" in page.get_by_role("alert").inner_text()
    page.goto(f"{HOME}/overview")
    assert balance_shown(page) == before + (500 if outcome == "Complete" else 0)


def test_leaving_the_checkout_buys_nothing(page: Any) -> None:
    before, payments = balance_shown(page), payments_shown(page)
    to_checkout(page)
    page.get_by_role("link", name="Back without paying").click()
    page.wait_for_url("**/billing?**")
    assert page.get_by_text("Nothing was bought.").is_visible()
    assert balance_shown(page) == before
    assert payments_shown(page) == payments


def test_two_tabs_are_two_purchases(page: Any) -> None:
    before, payments = balance_shown(page), payments_shown(page)
    other = page.context.new_page()
    to_checkout(page)
    to_checkout(other)
    assert page.url != other.url
    for tab in (other, page):
        pay(tab)
        tab.wait_for_url("**/billing/success**")
    assert balance_shown(page) == before + 1000
    assert payments_shown(page) == payments + 2


@pytest.mark.parametrize("scripts", [True, False])
def test_double_click_is_one_order(visits: Visits, scripts: bool) -> None:
    """The second press of the same form, also where no script holds it back, leads to the same Checkout."""
    page = visits.open(java_script_enabled=scripts)
    page.goto(f"{HOME}/overview")
    sent: list[str] = []
    page.on("request", lambda asked: asked.method == "POST" and sent.append(asked.post_data or ""))
    page.locator("main .packages button", has_text="$5.00").first.dblclick(no_wait_after=True)
    page.wait_for_url("**/sandbox/pay/**")
    first = page.url
    page.go_back()
    if scripts:
        assert len(sent) == 1
    again = page.request.post(
        f"{HOME}/billing/buy",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Referer": page.url},
        data=sent[0],
        max_redirects=0,
    )
    assert again.status == 303
    assert first.endswith(again.headers["location"].rsplit("/", 1)[1])


def test_whole_purchase_without_javascript(visits: Visits) -> None:
    page = visits.open(java_script_enabled=False)
    page.goto(f"{HOME}/overview")
    before = balance_shown(page)
    page.get_by_role("link", name="Buy credits").click()
    page.locator("dialog#buy-credits button", has_text="$5.00").click()
    page.wait_for_url("**/sandbox/pay/**")
    pay(page)
    page.wait_for_url("**/billing/success**")
    assert balance_shown(page) == before + 500


def test_balance_follows_a_program_without_reload(page: Any, visits: Visits) -> None:
    before = balance_shown(page)
    visits.instance.call("/api/credits/deduct", {"amount": 7, "task_id": "live", "description": "Live"})
    page.wait_for_function(
        "shown => [...document.querySelectorAll('[data-balance=credits]')]"
        ".every(place => place.textContent.trim() === shown)",
        arg=f"{before - 7:,}",
        timeout=13_000,
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_adding_funds_shows_what_will_be_there(visits: Visits, scripts: bool) -> None:
    page = visits.open(java_script_enabled=scripts)
    page.goto("/home/signalpost/billing?add-funds=1")
    now = Decimal(re.sub(r"[^\d.]", "", page.locator("[data-balance=sms]").first.inner_text()))
    dialog = page.locator("#add-funds")
    quick = dialog.get_by_role("button", name="$25.00")
    assert f"then ${now + 25:,}" in quick.inner_text()
    if not scripts:
        return
    field, then = dialog.get_by_label("Your own amount"), dialog.locator("output")
    for typed, added in (
        ("12.5", "12.5"),
        ("4.99", None),
        ("10000", "10000"),
        ("1,000", None),
        ("7.005", None),
    ):
        field.fill(typed)
        words = f"Then ${now + Decimal(added):,.4f}".rstrip("0") if added else ""
        assert then.inner_text().startswith(words) and bool(then.inner_text()) == bool(words), typed
    quick.click()
    page.wait_for_url("**/sandbox/**")
    assert "$25.00" in page.locator("main").inner_text()

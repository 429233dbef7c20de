"""What a customer does in Coffer and on the hosted pages, for the tests to tell purchases by."""

import re
from typing import Any

GOOD, DECLINED, NEEDS_3DS = "4242424242424242", "4000000000000002", "4000002500003155"
HOME = "/home/northwind"


def balance_shown(page: Any) -> int:
    """The balance in the page's header."""
    return int(page.locator(".balance-chip strong").inner_text().replace(",", ""))


def payments_shown(page: Any) -> int:
    """How many payments the Billing page lists."""
    page.goto(f"{HOME}/billing")
    return page.locator("#payments-title").locator("xpath=ancestor::section").locator("tbody tr").count()


def to_checkout(page: Any, price: str = "$5.00", start: str = f"{HOME}/overview") -> None:
    """Press a package; ends on the hosted page."""
    page.goto(start)
    page.locator("main .packages button", has_text=price).first.click()
    page.wait_for_url("**/sandbox/pay/**")


def pay(page: Any, card: str = GOOD) -> None:
    """Pay on the hosted page."""
    page.get_by_label("Card number").fill(card)
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    page.wait_for_load_state()


def buy(page: Any, price: str = "$5.00") -> None:
    """A whole purchase with a good card; ends on the success page."""
    to_checkout(page, price)
    pay(page)
    page.wait_for_url("**/billing/success**")

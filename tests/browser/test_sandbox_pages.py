"""The sandbox's hosted pages of subscriptions, kept cards, invoices and the portal, in a browser."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from sandbox import SandboxServer
from sandbox.connect import UNFINISHED_ACCOUNT
from tests.browser.test_pages import violations
from tests.sandbox.conftest import SECURE, serving  # noqa: F401  (a fixture)
from tests.sandbox.test_invoices import Books

SUCCESS = {"success_url": "http://127.0.0.1:9/ok"}


@pytest.fixture
def books(serving: Callable[..., SandboxServer]) -> Iterator[Books]:  # noqa: F811
    yield Books(serving, seller="Northwind")


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(8_000)
    yield context.new_page()
    context.close()


def session(books: Books, **given: Any) -> str:
    """The address of a Checkout Session."""
    made = books.client.v1.checkout.sessions.create({"customer": books.customer, **SUCCESS, **given})  # type: ignore[typeddict-item]
    return str(made.url)


def unpaid(books: Books) -> str:
    """The page of an invoice whose card the bank asks about."""
    books.use_card(SECURE)
    final = books.final(1200, 350)
    with pytest.raises(stripe.CardError):
        books.pay(final)
    return str(final.hosted_invoice_url)


def portal(books: Books) -> str:
    books.subscribe()
    made = books.client.v1.billing_portal.sessions.create(
        {"customer": books.customer, "return_url": "http://127.0.0.1:9/billing"}
    )
    return made.url


PAGES: dict[str, Callable[[Books], str]] = {
    "subscribe": lambda books: session(
        books, mode="subscription", line_items=[{"price": books.month, "quantity": 1}]
    ),
    "save a card": lambda books: session(books, mode="setup", currency="usd"),
    "unpaid invoice": unpaid,
    "paid invoice": lambda books: str(books.pay(books.final(1200)).hosted_invoice_url),
    "portal": portal,
    "connect an account": lambda books: (
        books.client.v1.account_links.create(
            {
                "account": UNFINISHED_ACCOUNT,
                "type": "account_onboarding",
                "refresh_url": "http://127.0.0.1:9/",
                "return_url": "http://127.0.0.1:9/",
            }
        ).url
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_page_has_no_violation_in_either_theme_at_either_width(books: Books, page: Any, name: str) -> None:
    page.goto(PAGES[name](books))
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


def test_an_unpaid_invoice_is_confirmed_by_hand(books: Books, page: Any) -> None:
    page.goto(unpaid(books))
    page.get_by_label("Card").select_option(label="Visa •••• 3184")
    page.get_by_role("button", name="Pay $15.50").click()
    page.get_by_role("button", name="Complete").click()
    page.wait_for_url("**/paid**")
    assert page.get_by_text("Paid", exact=True).count() == 1
    assert books.client.v1.invoices.list({}).data[0].status == "paid"


def test_the_portal_replaces_the_card_and_ends_the_subscription(books: Books, page: Any) -> None:
    page.goto(portal(books))
    page.get_by_label("Test card to use").select_option("5555555555554444")
    page.get_by_role("button", name="Use this card").click()
    page.get_by_text("Mastercard •••• 4444 (used)").wait_for()
    page.get_by_role("button", name="Cancel at the end of the period").click()
    page.get_by_role("button", name="Keep it").wait_for()
    assert books.client.v1.subscriptions.list({}).data[0].cancel_at_period_end

"""One server and one Chromium for all; a signed-in page for whoever wants one, its console watched."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.instance import DemoInstance

MARIA, SAM = "maria@northwind.example", "sam@juniper.example"
OPERATOR = "operator@coffer.example"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def instance(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoInstance]:
    """A new instance with the demo; not started where there is no browser to look at it."""
    running = DemoInstance(tmp_path_factory.mktemp("instance"))
    yield running
    running.stop()


class Visits:
    """Browsers of people, each with cookies of its own; what their consoles said."""

    def __init__(self, browser: Any, instance: DemoInstance, states: dict[str, Any]):
        self._browser, self.instance, self._states = browser, instance, states
        self._contexts: list[Any] = []
        self.complaints: list[str] = []
        # What a page may say: an error page is an error to the console too.
        self.expected: tuple[str, ...] = ()

    def open(self, person: str | None = MARIA, **options: Any) -> Any:
        """A page of a browser in which the person is signed in."""
        settings = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"} | options
        context = self._browser.new_context(
            base_url=self.instance.address,
            storage_state=self._state_of(person) if person else None,
            **settings,
        )
        context.set_default_timeout(8_000)
        self._contexts.append(context)
        context.on("page", self._watch)
        return context.new_page()

    def _state_of(self, person: str) -> Any:
        if person not in self._states:
            context = self._browser.new_context(base_url=self.instance.address)
            sign_in(context.new_page(), person, self.instance.password_of(person))
            self._states[person] = context.storage_state()
            context.close()
        return self._states[person]

    def _watch(self, page: Any) -> None:
        def heard(kind: str, text: str) -> None:
            if not any(words in text for words in self.expected):
                self.complaints.append(f"{page.url}: {kind}: {text}")

        page.on("console", lambda said: said.type in ("error", "warning") and heard(said.type, said.text))
        page.on("pageerror", lambda error: heard("exception", str(error)))

    def close(self) -> None:
        """Close every browser."""
        for context in self._contexts:
            context.close()


@pytest.fixture(scope="session")
def states() -> dict[str, Any]:
    """Cookies of those who have signed in, so that each does so once."""
    return {}


@pytest.fixture
def visits(browser: Any, instance: DemoInstance, states: dict[str, Any]) -> Iterator[Visits]:
    """Browsers of people; afterwards no console may have complained."""
    opened = Visits(browser, instance, states)
    yield opened
    opened.close()
    assert opened.complaints == []


def sign_in(page: Any, email: str, password: str) -> None:
    """Fill in the form."""
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.locator("input[type=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(r"/(home/|operator$)"))

"""Meters on the Usage page: bars, warnings with a way on, days; nothing where the catalogue has none."""

import re

import pytest
from flask import Flask

from services.catalog.preset_file import parse_catalog
from services.catalog.presets import load_catalog
from services.usage.meters import Increment, record_usage
from tests.conftest import make_account
from tests.services.usage.test_meters import CATALOG
from tests.visitor import Visitor, make_person, signed_in


@pytest.fixture
def account_id(app: Flask) -> int:
    load_catalog(parse_catalog(CATALOG), "command")
    return make_account("acme")


@pytest.fixture
def viewer(app: Flask, account_id: int) -> Visitor:
    make_person("vera@example.com", account_id, "viewer")
    return signed_in(app, "vera@example.com")


def use(account_id: int, quantity: int, meter: str = "calls") -> None:
    record_usage(Increment(account_id=account_id, meter=meter, quantity=quantity, actor="key:1"))


class TestMeters:
    def test_a_limit_is_shown_with_what_is_used_of_it(self, viewer: Visitor, account_id: int) -> None:
        use(account_id, 4)
        use(account_id, 1, "likes")
        page = viewer.get("/home/acme/usage").text
        assert "4 of 10" in page and "On track" in page and "25%" in page

    @pytest.mark.parametrize(("quantity", "words"), [(8, "80%"), (9, "90%"), (10, "100%")])
    def test_a_warning_names_the_way_on(
        self, viewer: Visitor, account_id: int, quantity: int, words: str
    ) -> None:
        use(account_id, quantity)
        page = viewer.get("/home/acme/usage").text
        assert f"you have used {words} of your limit" in page
        assert '/plans">Upgrade' in page

    def test_period_and_meter_are_chosen(self, viewer: Visitor, account_id: int) -> None:
        use(account_id, 3, "likes")
        page = viewer.get("/home/acme/usage?days=7&meter=likes").text
        assert "Likes per day" in page
        table = re.search(r"Show data as table</summary>(.*?)</details>", page, re.S)[1]
        assert table.count("<tr><td>") == 7 and '<td class="end">3</td>' in table

    @pytest.mark.parametrize("query", ["days=8", "days=x", "meter=nonsense", "days=-1&meter="])
    def test_what_is_no_choice_shows_the_usual(self, viewer: Visitor, query: str) -> None:
        assert viewer.get(f"/home/acme/usage?{query}").status_code == 200

    def test_without_meters_there_is_the_history_alone(self, app: Flask) -> None:
        make_person("vera@example.com", make_account("acme"), "viewer")
        page = signed_in(app, "vera@example.com").get("/home/acme/usage").text
        assert "Usage of your plan" not in page and "History" in page

"""The history over HTTP: filters, pages, one line, CSV."""

import csv
import io
import json
import re
from datetime import timedelta

import pytest
from flask import Flask

from services.clock import business_now
from services.ledger.export import LINES_A_PAGE
from tests.blueprints.household import Household, household
from tests.visitor import Visitor

PATH = "/home/acme/usage"
ROW = re.compile(r'class="row-link" href="/home/acme/usage/(\d+)"')
LINK = re.compile(r'href="([^"]+)" rel="(prev|next)"')


@pytest.fixture
def home(app: Flask) -> Household:
    return household(app)


@pytest.fixture
def viewer(home: Household) -> Visitor:
    return home.as_("viewer")


def rows(text: str) -> list[int]:
    return [int(number) for number in ROW.findall(text)]


def links(text: str) -> dict[str, str]:
    return {relation: href.replace("&amp;", "&") for href, relation in LINK.findall(text)}


def cells(answer_text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer_text)))


@pytest.mark.parametrize("path", [PATH, f"{PATH}.csv", f"{PATH}.json", f"{PATH}/1"])
class TestWhoMaySee:
    def test_anonymous_is_sent_to_sign_in(self, app: Flask, home: Household, path: str) -> None:
        assert Visitor(app).get(path).headers["Location"].startswith("/sign-in")

    def test_stranger_gets_404(self, home: Household, path: str) -> None:
        home.grant(5)
        assert home.as_("stranger").get(path).status_code == 404


class TestPages:
    def test_forward_and_back_give_each_line_once(self, home: Household, viewer: Visitor) -> None:
        made = [home.grant(1000)] + [home.spend(1) for _ in range(120)]
        pages = [viewer.get(PATH).text]
        while "next" in links(pages[-1]):
            pages.append(viewer.get(links(pages[-1])["next"]).text)
        assert [number for page in pages for number in rows(page)] == made[::-1]
        assert [len(rows(page)) for page in pages] == [50, 50, 21]
        back = [pages[-1]]
        while "prev" in links(back[-1]):
            back.append(viewer.get(links(back[-1])["prev"]).text)
        assert [rows(page) for page in back] == [rows(page) for page in pages[::-1]]
        assert "1–50 of 121" in back[-1] and "101–121 of 121" in pages[-1]

    def test_line_written_meanwhile_shifts_nothing(self, home: Household, viewer: Visitor) -> None:
        made = [home.grant(1000)] + [home.spend(1) for _ in range(60)]
        first = viewer.get(PATH).text
        home.spend(1)
        second = viewer.get(links(first)["next"]).text
        assert rows(first) + rows(second) == made[::-1]

    @pytest.mark.parametrize(
        "query",
        [
            "cursor=x", "cursor=-1", "cursor=0", "cursor=99999999999999999999", "newer_than=x", "page=0",
            "newer_than=9223372036854775807", "page=-5", "page=1e9", "page=99999999999999999999", "cursor=",
            "cursor=1&newer_than=1", "page=٣", "cursor=%00", "type=&credit_type=",
        ],
    )  # fmt: skip
    def test_odd_position_is_never_an_error(self, home: Household, viewer: Visitor, query: str) -> None:
        home.grant(5)
        assert viewer.get(f"{PATH}?{query}").status_code == 200


class TestFilters:
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("since=yesterday", "since"), ("until=2026-13-01", "until"), ("type=theft", "type"),
            ("credit_type=gold", "credit_type"), ("since=2026-02-02&until=2026-02-01", "until"),
            ("text=" + "x" * 101, "text"), ("since=0000-00-00", "since"),
        ],
    )  # fmt: skip
    def test_wrong_one_is_named_and_left_out(
        self, home: Household, viewer: Visitor, query: str, field: str
    ) -> None:
        line = home.grant(5)
        answer = viewer.get(f"{PATH}?{query}")
        assert answer.status_code == 200
        assert f'href="#{field}"' in answer.text
        assert rows(answer.text) == ([] if "since=2026-02-02" in query else [line]) or field == "until"
        assert viewer.get(f"{PATH}.csv?{query}").status_code == 200

    def test_day_is_the_accounts_own_and_both_ends_count(self, home: Household, viewer: Visitor) -> None:
        line = home.grant(5)
        today = business_now().date()
        assert rows(viewer.get(f"{PATH}?since={today}&until={today}").text) == [line]
        earlier = today - timedelta(days=1)
        assert rows(viewer.get(f"{PATH}?since={earlier}&until={earlier}").text) == []

    @pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1970-01-01"])
    def test_far_dates_are_no_error(self, home: Household, viewer: Visitor, day: str) -> None:
        for name in ("since", "until"):
            assert viewer.get(f"{PATH}?{name}={day}").status_code == 200

    def test_text_is_taken_literally(self, home: Household, viewer: Visitor) -> None:
        home.grant(50)
        wanted = home.spend(1, description="100% cotton_shirt")
        home.spend(1, description="1000 cotton shirts")
        for text in ("100%25 c", "n_s", "COTTON_"):
            assert rows(viewer.get(f"{PATH}?text={text}").text) == [wanted]
        assert rows(viewer.get(f"{PATH}?text=%5C").text) == []

    def test_description_is_shown_as_text(self, home: Household, viewer: Visitor) -> None:
        home.grant(5, description="<script>alert(1)</script>")
        assert "<script>alert" not in viewer.get(PATH).text
        assert "&lt;script&gt;alert" in viewer.get(PATH).text


class TestLine:
    def test_shows_each_lot_and_its_part(self, home: Household, viewer: Visitor) -> None:
        home.grant(3)
        home.grant(10)
        text = viewer.get(f"{PATH}/{home.spend(5, task_id='task-5')}").text
        assert "task-5" in text and text.count("−3") == 1 and text.count("−2") == 1

    @pytest.mark.parametrize("number", ["999999", "0", "99999999999999999999999"])
    def test_line_that_is_not_there_is_404(self, viewer: Visitor, number: str) -> None:
        assert viewer.get(f"{PATH}/{number}").status_code == 404


class TestCsv:
    def test_every_line_is_in_it(self, home: Household, viewer: Visitor) -> None:
        made = [home.grant(2 * LINES_A_PAGE)] + [home.spend(1) for _ in range(LINES_A_PAGE + 2)]
        answer = viewer.get(f"{PATH}.csv")
        assert answer.mimetype == "text/csv"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="acme-history.csv"'
        assert [int(line["id"]) for line in cells(answer.text)] == made[::-1]

    def test_filters_hold(self, home: Household, viewer: Visitor) -> None:
        home.grant(10)
        spent = home.spend(4)
        assert [line["id"] for line in cells(viewer.get(f"{PATH}.csv?type=usage").text)] == [str(spent)]

    @pytest.mark.parametrize("start", list("=+-@\t\r"))
    def test_formula_becomes_text(self, home: Household, viewer: Visitor, start: str) -> None:
        home.grant(10)
        home.spend(1, description=f"{start}cmd|' /C calc'!A0")
        found = cells(viewer.get(f"{PATH}.csv").text)[0]
        assert found["description"].startswith(f"'{start}")
        assert found["amount"] == "-1"


class TestCourse:
    def test_links_keep_what_is_shown_and_a_swap_of_the_history_is_that_alone(self, viewer: Visitor) -> None:
        page = viewer.get("/home/acme/usage?days=7&text=a").text
        assert "Spent per day, and the balance" in page
        assert 'name="days" value="7"' in page and "days=90&amp;text=a" in page
        swapped = viewer.get(
            "/home/acme/usage?days=7", headers={"HX-Request": "true", "HX-Target": "history"}
        )
        assert "Spent per day" not in swapped.text and 'id="history"' in swapped.text


class TestJson:
    def test_same_lines_and_filters_as_the_screen(self, home: Household, viewer: Visitor) -> None:
        made = [home.grant(1000)] + [home.spend(1) for _ in range(LINES_A_PAGE)]
        answer = viewer.get(f"{PATH}.json")
        assert answer.mimetype == "application/json"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="acme-history.json"'
        assert [line["id"] for line in json.loads(answer.text)] == made[::-1]
        spends = json.loads(viewer.get(f"{PATH}.json?type=usage").text)
        assert [line["id"] for line in spends] == made[:0:-1]
        assert json.loads(viewer.get(f"{PATH}.json?text=nowhere").text) == []

    def test_page_links_to_it_with_the_filters(self, home: Household, viewer: Visitor) -> None:
        home.grant(5)
        text = viewer.get(f"{PATH}?type=usage").text
        assert f'href="{PATH}.json?type=usage"' in text and f'href="{PATH}.csv?type=usage"' in text

    def test_other_formats_are_not_there(self, home: Household, viewer: Visitor) -> None:
        assert viewer.get(f"{PATH}.xml").status_code == 404

"""The pages of plans and subscriptions, as an owner clicks through them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from services.catalog.presets import load_preset
from tests.services.billing.subscriber import LATER_DECLINED, Subscriber, subscriber_at, utc
from tests.visitor import Visitor, make_person, signed_in

HOME = "/home/sub"
PLANS = f"{HOME}/plans"
BILLING = f"{HOME}/billing"


@pytest.fixture
def someone(app: Flask, tmp_path: Path) -> Iterator[Subscriber]:
    with subscriber_at(app, tmp_path, utc(2027, 12, 31, 9), "shelf") as subscriber:
        yield subscriber


@pytest.fixture
def owner(app: Flask, someone: Subscriber) -> Visitor:
    make_person("ann@example.com", someone.account_id)
    return signed_in(app, "ann@example.com")


def token(page: str) -> str:
    return re.findall(r'name="form_token" value="([^"]+)"', page)[0]


def said(owner: Visitor, path: str = BILLING) -> str:
    return " ".join(owner.get(path).text.split())


class TestSubscribing:
    def test_from_the_plans_to_checkout_and_back(self, owner: Visitor, someone: Subscriber) -> None:
        page = owner.get(PLANS)
        assert "20 % off the first month" in page.text and "No active plan" in said(owner)
        form = {"form_token": token(page.text), "plan": "basic", "interval": "month"}
        answer = owner.post(f"{BILLING}/subscribe", form)
        assert answer.status_code == 303
        assert owner.post(f"{BILLING}/subscribe", form).headers["Location"] == answer.headers["Location"]
        session = someone.shop.sessions()[0]
        assert answer.headers["Location"] == session["url"]
        someone.shop.pay(session["id"])
        page = owner.get(f"{BILLING}/success?session_id={session['id']}")
        assert "You are on Basic" in page.text
        assert someone.amounts() == [280]
        words = said(owner)
        assert "Active" in words and "$10.00 a month" in words and "•••• 4242" in words
        assert "Renews" in said(owner, f"{HOME}/overview")
        assert "Current plan" in said(owner, PLANS)

    def test_who_is_no_owner_looks_on(self, app: Flask, someone: Subscriber) -> None:
        make_person("vic@example.com", someone.account_id, "member")
        member = signed_in(app, "vic@example.com")
        page = member.get(PLANS)
        assert "An owner of the account can change the plan." in page.text
        for path in ("subscribe", "change", "cancel", "resume", "keep-plan", "card", "portal"):
            assert member.post(f"{BILLING}/{path}", {"form_token": "t" * 20}).status_code == 403, path

    @pytest.mark.parametrize(
        "form", [{"plan": "gold"}, {"plan": "free"}, {"plan": "basic", "interval": "week"}, {}]
    )
    def test_what_is_not_sold_is_told(self, owner: Visitor, someone: Subscriber, form: dict) -> None:
        answer = owner.post(f"{BILLING}/subscribe", {"form_token": "t" * 20} | form)
        assert answer.status_code == 303
        assert someone.shop.sessions() == []

    def test_choosing_before_signing_in_comes_back_to_the_plans(
        self, app: Flask, someone: Subscriber
    ) -> None:
        load_preset(Path(__file__).resolve().parents[3] / "catalogs" / "studio.toml")
        stranger = Visitor(app)
        shown = stranger.get("/pricing/shelf?interval=year").text
        assert 'href="/plans?plan=basic&amp;interval=year"' in shown
        assert "Contact us" in stranger.get("/pricing/devtools").text
        answer = stranger.get("/plans?interval=year")
        assert answer.headers["Location"] == "/sign-in?next=/plans?interval%3Dyear"
        make_person("eve@example.com", someone.account_id)
        member = signed_in(app, "eve@example.com")
        assert member.get("/plans?interval=year").headers["Location"] == f"{PLANS}?interval=year"
        there = member.get("/plans?plan=basic&interval=year").headers["Location"]
        assert there == f"{PLANS}?plan=basic&interval=year"
        assert "You chose Basic" in member.get(there).text
        assert member.get("/plans?plan=//evil&interval=year").headers["Location"] == f"{PLANS}?interval=year"

    def test_prices_show_an_account_its_own_plan(
        self, app: Flask, owner: Visitor, someone: Subscriber
    ) -> None:
        someone.subscribe("basic")
        own, strange = owner.get("/pricing/shelf").text, Visitor(app).get("/pricing/shelf").text
        assert "Current plan" in own and "Your plans" in own and "off the first" not in own
        assert "Current plan" not in strange and "off the first" in strange


class TestChanging:
    def test_a_better_plan_is_previewed_and_paid(self, owner: Visitor, someone: Subscriber) -> None:
        someone.subscribe("basic")
        assert "change?plan=pro" in owner.get(PLANS).text
        page = owner.get(f"{BILLING}/change?plan=pro&interval=month")
        assert "due now" in page.text and "840" in page.text
        form = dict(
            re.findall(r'name="(form_token|plan|interval|prorated_at|amount_due)" value="([^"]*)"', page.text)
        )
        assert form["amount_due"] == "2200"  # the first month of Basic cost 8 dollars
        answer = owner.post(f"{BILLING}/change", form | {"amount_due": "1"})
        assert answer.headers["Location"].endswith("/plans")
        assert someone.view().plan == "basic"
        owner.post(f"{BILLING}/change", form)
        assert (someone.view().plan, someone.amounts()) == ("pro", [280, 840])
        assert "Your plan is changed." in said(owner)

    def test_a_refused_card_is_told_and_nothing_changes(self, owner: Visitor, someone: Subscriber) -> None:
        someone.subscribe("basic")
        someone.use_card(LATER_DECLINED)
        owner.post(f"{BILLING}/change", {"form_token": "t" * 20, "plan": "pro", "interval": "month"})
        assert "declined" in said(owner)
        assert (someone.view().plan, someone.amounts()) == ("basic", [280])

    def test_a_smaller_plan_waits_and_can_be_taken_back(self, owner: Visitor, someone: Subscriber) -> None:
        someone.subscribe("pro")
        page = owner.get(f"{BILLING}/change?plan=basic&interval=month").text
        assert "Nothing is due now." in page
        form = {"form_token": token(page), "plan": "basic", "interval": "month"}
        owner.post(f"{BILLING}/change", form)
        assert "Basic follows." in said(owner)
        owner.post(f"{BILLING}/keep-plan", {"form_token": "u" * 20})
        assert "follows." not in said(owner)

    @pytest.mark.parametrize("query", ["plan=gold", "plan=pro&interval=week", "plan=basic", ""])
    def test_what_cannot_be_changed_to(self, owner: Visitor, someone: Subscriber, query: str) -> None:
        someone.subscribe("basic")
        answer = owner.get(f"{BILLING}/change?{query}")
        assert answer.status_code == 303


class TestEnding:
    def test_the_dialog_names_what_is_lost(self, owner: Visitor, someone: Subscriber) -> None:
        someone.subscribe("basic")
        page = said(owner, f"{BILLING}?cancel=1")
        assert "280 credits of the plan" in page and "A place on the shelf" in page
        assert "You go on with Free." in page
        owner.post(f"{BILLING}/cancel", {"form_token": "v" * 20})
        assert someone.view().cancel_at_period_end and "It is cancelled." in said(owner)
        owner.post(f"{BILLING}/resume", {"form_token": "w" * 20})
        assert not someone.view().cancel_at_period_end

    def test_past_due_says_how_to_mend_it(self, app: Flask, someone: Subscriber) -> None:
        someone.subscribe("basic")
        someone.use_card(LATER_DECLINED)
        someone.move(utc(2028, 1, 31, 10))
        make_person("ann@example.com", someone.account_id)
        owner = signed_in(app, "ann@example.com")
        page = said(owner)
        assert "The last payment failed." in page and "Pay the invoice" in page
        assert "This account is past due." in page
        answer = owner.post(f"{BILLING}/card", {"form_token": "x" * 20})
        session = next(each for each in someone.shop.sessions() if each["url"] == answer.headers["Location"])
        someone.shop.pay(session["id"])
        assert "Your card is saved" in owner.get(f"{BILLING}/success?session_id={session['id']}").text
        someone.hear()
        assert (someone.view().status, someone.status()) == ("active", "active")

    def test_the_portal_opens_for_who_has_paid(self, owner: Visitor, someone: Subscriber) -> None:
        owner.post(f"{BILLING}/portal", {})
        assert "nothing at the payment provider" in said(owner)
        someone.subscribe("basic")
        answer = owner.post(f"{BILLING}/portal", {})
        assert "/sandbox/portal/" in answer.headers["Location"]

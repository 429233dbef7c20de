"""Payments as CSV and JSON."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from flask import Flask

from extensions import db
from models.billing import Payment
from services.billing import exports
from tests.conftest import make_account
from tests.visitor import Visitor, make_person, signed_in

AT = datetime(2026, 3, 1, tzinfo=UTC)
PATH = "/home/acme/billing/payments"


def pay(account_id: int, name: str, description: str = "1,000 credits", **more: object) -> None:
    values = {"status": "paid", "paid_at": AT, "amount_cents": 1190, "tax_cents": 190} | more
    db.session.add(
        Payment(public_id=name, account_id=account_id, kind="manual", description=description,
                currency="eur", created_at=AT, **values)
    )  # fmt: skip
    db.session.commit()


def viewer_of(app: Flask, account_id: int) -> Visitor:
    make_person("vic@example.com", account_id, "viewer")
    return signed_in(app, "vic@example.com")


class TestPayments:
    @pytest.mark.parametrize("page", [1, 2, 500])
    def test_each_stands_once_newest_first(
        self, app: Flask, monkeypatch: pytest.MonkeyPatch, page: int
    ) -> None:
        monkeypatch.setattr(exports, "PAYMENTS_A_PAGE", page)
        account_id = make_account("acme")
        for number in range(4):
            pay(account_id, f"p{number}", refunded_cents=number)
        pay(make_account("other"), "theirs")
        viewer = viewer_of(app, account_id)
        answer = viewer.get(f"{PATH}.json")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="acme-payments.json"'
        found = json.loads(answer.text)
        assert [(each["id"], each["refunded_cents"]) for each in found] == [
            ("p3", 3), ("p2", 2), ("p1", 1), ("p0", 0),
        ]  # fmt: skip
        rows = list(csv.DictReader(io.StringIO(viewer.get(f"{PATH}.csv").text)))
        assert [(row["id"], row["amount_cents"], row["tax_cents"]) for row in rows] == [
            (each["id"], "1190", "190") for each in found
        ]

    def test_what_a_spreadsheet_would_run_is_text(self, app: Flask) -> None:
        account_id = make_account("acme")
        pay(account_id, "p1", "=HYPERLINK(1)", status="failed", paid_at=None, failure="@declined")
        viewer = viewer_of(app, account_id)
        row = next(csv.DictReader(io.StringIO(viewer.get(f"{PATH}.csv").text)))
        assert (row["description"], row["failure"], row["paid_at"]) == ("'=HYPERLINK(1)", "'@declined", "")
        record = json.loads(viewer.get(f"{PATH}.json").text)[0]
        assert (record["description"], record["paid_at"]) == ("=HYPERLINK(1)", None)

    def test_links_stand_where_there_is_something_to_take_along(self, app: Flask) -> None:
        account_id = make_account("acme")
        viewer = viewer_of(app, account_id)
        assert f'href="{PATH}.' not in viewer.get("/home/acme/billing").text
        assert json.loads(viewer.get(f"{PATH}.json").text) == []
        pay(account_id, "p1")
        text = viewer.get("/home/acme/billing").text
        assert f'href="{PATH}.csv"' in text and f'href="{PATH}.json"' in text

    @pytest.mark.parametrize("form", ["csv", "json"])
    def test_only_people_of_the_account(self, app: Flask, form: str) -> None:
        pay(make_account("acme"), "p1")
        assert Visitor(app).get(f"{PATH}.{form}").headers["Location"].startswith("/sign-in")
        make_person("eve@example.com", make_account("other"))
        assert signed_in(app, "eve@example.com").get(f"{PATH}.{form}").status_code == 404

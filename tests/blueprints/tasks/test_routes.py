"""The editor of the demo: estimate, refusal, spend, task id in the history."""

import re
from pathlib import Path

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import select

from extensions import db
from models.catalog import Catalog
from models.ledger import Transaction
from services.catalog.presets import load_preset
from services.ledger.grants import Incoming, grant_credits
from tests.conftest import make_account
from tests.visitor import Visitor, fresh, make_person, signed_in

TRY = "/home/acme/tasks/try"
STUDIO = Path(__file__).resolve().parents[3] / "catalogs" / "studio.toml"


@pytest.fixture
def account_id(app: Flask) -> int:
    load_preset(STUDIO)
    account = make_account("acme", catalog_id=db.session.scalar(select(Catalog.id)))
    grant_credits(
        Incoming(account_id=account, credit_type="credits", amount=100, source="bonus", actor="test")
    )
    return account


@pytest.fixture
def owner(app: Flask, account_id: int) -> Visitor:
    make_person("ann@example.com", account_id)
    return signed_in(app, "ann@example.com")


def spends() -> list[tuple[int, str | None, str]]:
    fresh()
    rows = db.session.scalars(select(Transaction).where(Transaction.type == "usage").order_by(Transaction.id))
    return [(row.amount, row.task_id, row.description) for row in rows]


def form(owner: Visitor, **quantities: object) -> dict[str, object]:
    page = owner.get(TRY).text
    found = re.search(r'name="form_token" value="([^"]+)"', page)
    assert found
    return {"form_token": found[1]} | {f"quantity-{code}": count for code, count in quantities.items()}


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


class TestTrying:
    def test_an_estimate_takes_nothing(self, owner: Visitor) -> None:
        page = words(owner.get(f"{TRY}?quantity-poster=4&quantity-voice=10").text)
        assert "60 credits" in page and "Left afterwards 40" in page
        assert spends() == []

    def test_what_is_missing_is_named_with_two_ways_on(self, owner: Visitor) -> None:
        answer = owner.post(TRY, form(owner, storyboard=20))
        page = words(answer.text)
        assert answer.status_code == 402
        assert "20 credits are missing. It costs 120 and you have 100." in page
        assert 'href="/home/acme/plans"' in answer.text and "buy-credits=1" in answer.text
        assert spends() == []

    def test_the_task_is_in_the_history_once_per_form(self, owner: Visitor) -> None:
        sent = form(owner, poster=4, upscale=1)
        answer = owner.post(TRY, sent)
        assert answer.status_code == 303
        assert owner.post(TRY, sent).headers["Location"] == answer.headers["Location"]
        ((amount, task_id, description),) = spends()
        assert (amount, description) == (-29, "Poster, one variant × 4, Upscale to 4K × 1")
        assert task_id is not None and task_id in owner.get(answer.headers["Location"]).text
        assert task_id in owner.get(f"/home/acme/usage?text={task_id}").text

    @pytest.mark.parametrize("count", ["-1", "1.5", "x", "10001", "９", "1" * 30])
    def test_a_wrong_number_names_its_action(self, owner: Visitor, count: str) -> None:
        answer = owner.get(TRY, query_string={"quantity-poster": count})
        assert answer.status_code == 422 and "Poster, one variant" in answer.text
        sent = owner.post(TRY, form(owner, poster=count))
        assert sent.status_code == 422
        assert spends() == []

    def test_nothing_chosen_is_told(self, owner: Visitor) -> None:
        assert owner.post(TRY, form(owner, poster=0)).status_code == 422
        assert spends() == []

    def test_a_viewer_may_look_but_not_spend(self, app: Flask, account_id: int) -> None:
        make_person("vic@example.com", account_id, "viewer")
        viewer = signed_in(app, "vic@example.com")
        assert "Make it" not in viewer.get(TRY).text
        assert viewer.post(TRY, {"form_token": "t" * 20, "quantity-poster": 1}).status_code == 403
        assert spends() == []

    def test_where_money_is_real_there_is_no_such_page(self, app: Flask, owner: Visitor) -> None:
        app.extensions["settings"].stripe_secret_key = SecretStr("sk_test_x")
        assert owner.get(TRY).status_code == 404

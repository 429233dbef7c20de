"""Payments and refunds in the console."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from extensions import db
from models.billing import Payment
from services.billing.purchases import fulfil_checkout
from tests.blueprints.operator.conftest import form_token
from tests.shop import Shop, end_state, open_shop
from tests.visitor import Visitor, make_person, signed_in


@pytest.fixture
def shop(app: Flask, tmp_path: Path) -> Iterator[Shop]:
    with open_shop(app, tmp_path) as shop:
        started = shop.start()
        shop.pay(started.session_id)
        fulfil_checkout(started.session_id, "user:1", shop.payments)
        yield shop


@pytest.fixture
def operator(app: Flask, shop: Shop) -> Visitor:
    make_person("olive@example.com", is_operator=True)
    return signed_in(app, "olive@example.com")


def page_of() -> str:
    db.session.rollback()
    return f"/operator/accounts/acme/payments/{db.session.scalars(select(Payment.public_id)).one()}"


class TestRefund:
    def test_a_payment_is_listed_and_given_back_in_part(self, operator: Visitor) -> None:
        assert page_of() in operator.get("/operator/accounts/acme/payments").text
        page = operator.get(page_of()).text
        assert "Up to $35.00" in page
        sent = {"amount": "10", "reason": "Late", "form_token": form_token(page)}
        assert operator.post(f"{page_of()}/refund", sent).status_code == 303
        assert operator.post(f"{page_of()}/refund", sent).status_code == 303  # sent twice, given once
        assert end_state()["payments"] == [("partially_refunded", 3500, 1000, None)]
        again = operator.get(page_of()).text
        assert "Up to $25.00" in again and "Late" in again and "285" in again

    @pytest.mark.parametrize("amount", ["x", "0", "-1", "35.01", "1.005", "1e400", "NaN"])
    def test_a_wrong_amount_gives_nothing(self, operator: Visitor, amount: str) -> None:
        token = form_token(operator.get(page_of()).text)
        answer = operator.post(f"{page_of()}/refund", {"amount": amount, "form_token": token})
        assert answer.status_code == 422
        assert end_state()["payments"] == [("paid", 3500, 0, None)]

    def test_what_is_not_there_is_not_found(self, operator: Visitor) -> None:
        assert operator.get("/operator/accounts/acme/payments/nonsense").status_code == 404
        assert operator.get("/operator/accounts/nobody/payments").status_code == 404
        assert operator.post("/operator/accounts/acme/payments/nonsense/refund").status_code == 404

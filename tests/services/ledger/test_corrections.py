"""Credits given or taken by hand: one line, one line of the audit log, or neither."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from errors import CofferError, InsufficientCredits, InvalidRequest
from extensions import db
from models.audit import AuditEvent
from models.ledger import Transaction
from services.clock import business_now
from services.ledger.balances import balance_of
from services.ledger.corrections import Correction, correct_balance
from tests.conftest import make_account


def correction(account_id: int, kind: str, amount: int = 50, **values: object) -> Correction:
    return Correction(
        account_id=account_id, kind=kind, credit_type="credits", amount=amount, actor="user:1", **values
    )  # fmt: skip


def journal() -> list[tuple[str, int]]:
    return [
        (line.type, line.amount) for line in db.session.scalars(select(Transaction).order_by(Transaction.id))
    ]


def audited() -> list[dict]:
    return [
        json.loads(event.details) for event in db.session.scalars(select(AuditEvent).order_by(AuditEvent.id))
    ]


class TestCorrectBalance:
    def test_each_kind_books_its_line_and_is_written_down(self, either_app):
        account_id = make_account()
        ids = [
            correct_balance(correction(account_id, kind, amount))
            for kind, amount in (("bonus", 50), ("up", 30), ("down", 20))
        ]
        assert journal() == [("bonus", 50), ("adjustment", 30), ("adjustment", -20)]
        assert [(d["kind"], d["amount_units"], d["transaction_id"]) for d in audited()] == [
            ("bonus", 50, ids[0]), ("up", 30, ids[1]), ("down", 20, ids[2]),
        ]  # fmt: skip
        assert balance_of(account_id, "credits").balance == 60

    @pytest.mark.parametrize(
        ("kind", "values", "error"),
        [
            ("gift", {}, InvalidRequest),
            ("down", {}, InsufficientCredits),
            ("up", {"amount": 0}, InvalidRequest),
            ("up", {"expires_at": -1}, InvalidRequest),
            ("down", {"expires_at": 1}, InvalidRequest),
        ],
    )
    def test_what_is_refused_leaves_nothing(self, app, kind: str, values: dict, error: type[CofferError]):
        account_id = make_account()
        if "expires_at" in values:
            values = {"expires_at": business_now() + timedelta(days=values["expires_at"])}
        with pytest.raises(error):
            correct_balance(correction(account_id, kind, **values))
        assert (journal(), audited()) == ([], [])

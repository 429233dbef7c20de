"""Short words for ledger operations, for tests that tell what happened to one account."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from extensions import db
from models.ledger import Balance, Grant, Transaction
from services.ledger import balances, debits, grants, holds, reversals, transfers
from tests.conftest import make_account

ACTOR = "key:1"


class Clock:
    """The time of both clocks, standing still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = datetime(2026, 1, 31, 12, tzinfo=UTC)
        clock = self

        class Frozen(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return clock.now

        monkeypatch.setattr("services.clock.datetime", Frozen)

    def advance(self, **amount: float) -> None:
        """Let time pass."""
        self.now += timedelta(**amount)


@dataclass
class Desk:
    """One account's counter."""

    account_id: int
    credit_type: str = "credits"

    @classmethod
    def open(cls, credit_type: str = "credits", **values: Any) -> "Desk":
        return cls(make_account(**values), credit_type)

    def grant(self, amount: int, source: str = "bonus", **values: Any) -> grants.GrantReceipt:
        return grants.grant_credits(
            grants.Incoming(
                account_id=self.account_id, credit_type=self.credit_type, amount=amount, source=source,
                actor=ACTOR, **values,
            )
        )  # fmt: skip

    def spend(self, amount: int, **values: Any) -> debits.SpendReceipt:
        return debits.spend_credits(self._spend(amount, values))

    def adjust_down(self, amount: int) -> debits.SpendReceipt:
        return debits.adjust_down(self._spend(amount, {}))

    def _spend(self, amount: int, values: dict[str, Any]) -> debits.Spend:
        return debits.Spend(
            account_id=self.account_id, credit_type=self.credit_type, amount=amount, actor=ACTOR, **values
        )

    def hold(self, amount: int, expires_in: int = 900, **values: Any) -> int:
        request = holds.HoldRequest(
            account_id=self.account_id, credit_type=self.credit_type, amount=amount, actor=ACTOR,
            expires_in=expires_in, **values,
        )  # fmt: skip
        return holds.create_hold(request).hold_id

    def capture(self, hold_id: int, amount: int | None = None) -> holds.CaptureReceipt:
        return holds.capture_hold(self.account_id, hold_id, amount, ACTOR)

    def release(self, hold_id: int) -> None:
        holds.release_hold(self.account_id, hold_id)

    def refund(self, transaction_id: int, amount: int | None = None) -> reversals.RefundReceipt:
        return reversals.refund_spend(self.account_id, transaction_id, amount, ACTOR)

    def revoke(self, payment_id: int, refunded_cents: int, paid_cents: int) -> reversals.Revocation:
        return reversals.revoke_payment_credits(
            self.account_id, payment_id, refunded_cents, paid_cents, "stripe:evt"
        )

    def transfer(self, other: "Desk", amount: int) -> transfers.TransferReceipt:
        return transfers.transfer_credits(self.account_id, other.account_id, self.credit_type, amount, ACTOR)

    def position(self) -> balances.Position:
        return balances.balance_of(self.account_id, self.credit_type)

    @property
    def balance(self) -> int:
        return self.position().balance

    def kept(self) -> Balance:
        """The balance row as it is stored, nothing booked first."""
        db.session.rollback()
        return db.session.scalars(select(Balance).where(Balance.account_id == self.account_id)).one()

    def lots(self) -> list[Grant]:
        """The lots as they are stored, in the order of their making."""
        db.session.rollback()
        return list(
            db.session.scalars(select(Grant).where(Grant.account_id == self.account_id).order_by(Grant.id))
        )

    def remaining(self) -> list[int]:
        return [lot.remaining for lot in self.lots()]

    def lines(self) -> list[tuple[str, int]]:
        """Type and amount of each line, oldest first."""
        db.session.rollback()
        rows = db.session.execute(
            select(Transaction.type, Transaction.amount)
            .where(Transaction.account_id == self.account_id)
            .order_by(Transaction.credit_type_id, Transaction.sequence)
        )
        return [(row[0], row[1]) for row in rows]


def set_status(account_id: int, status: str) -> None:
    """Put an account into a status, as an operator or a proof would."""
    sql(f"UPDATE accounts SET status = '{status}' WHERE id = {account_id}")


def sql(*statements: str) -> None:
    """Run statements as someone with access to the database would."""
    db.session.rollback()
    with db.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def make_payment(account_id: int, amount_cents: int = 1000) -> int:
    """Insert a paid payment without an order and return its id."""
    db.session.rollback()
    with db.engine.begin() as connection:
        number = connection.execute(text("SELECT count(*) FROM payments")).scalar_one() + 1
        return connection.execute(
            text(
                "INSERT INTO payments (public_id, account_id, kind, description, amount_cents, tax_cents, "
                "refunded_cents, currency, status, created_at) VALUES (:public_id, :account_id, 'package', "
                "'Package', :cents, 0, 0, 'usd', 'paid', 0) RETURNING id"
            ),
            {"public_id": f"pay-{number}", "account_id": account_id, "cents": amount_cents},
        ).scalar_one()


def at_once(app: Flask, calls: Iterable[Any]) -> list[Any]:
    """Call everything at the same moment, each in a thread of its own; results or the errors raised."""
    calls = list(calls)
    gate = Barrier(len(calls))

    def run(call: Any) -> Any:
        with app.app_context():
            gate.wait()
            try:
                return call()
            except Exception as error:
                return error
            finally:
                db.session.remove()

    db.session.rollback()
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))

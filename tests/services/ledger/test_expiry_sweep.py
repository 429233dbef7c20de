"""The sweep books what a spend would have booked, for everybody, in short units."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from extensions import db
from models.accounts import Account
from models.ledger import Allocation, Balance, Grant, Hold, Transaction
from services.clock import business_now, set_business_offset
from services.ledger import expiry_sweep
from services.ledger.expiry_sweep import sweep_due
from services.ledger.grants import Incoming, grant_credits
from services.ledger.holds import HoldRequest, create_hold
from services.unit_of_work import atomic
from tests.conftest import make_account, make_credit_type


def grant(account_id: int, amount: int, hours: float | None, credit_type: str = "credits") -> None:
    expires_at = business_now() + timedelta(hours=hours) if hours else None
    grant_credits(
        Incoming(
            account_id=account_id, credit_type=credit_type, amount=amount, source="bonus", actor="command",
            expires_at=expires_at,
        )
    )  # fmt: skip


def hold(account_id: int, amount: int, seconds: int) -> None:
    create_hold(
        HoldRequest(
            account_id=account_id, credit_type="credits", amount=amount, actor="command", expires_in=seconds
        )
    )


@pytest.fixture
def later():
    """Returns a function that moves the product's clock; the shared fixtures put it back."""
    return lambda **span: set_business_offset(timedelta(**span))


def lines_of_type(line_type: str) -> list[tuple[int, int]]:
    db.session.rollback()
    rows = db.session.execute(
        select(Transaction.account_id, Transaction.amount)
        .where(Transaction.type == line_type)
        .order_by(Transaction.account_id, Transaction.sequence)
    )
    return [tuple(row) for row in rows]


@atomic
def set_status(account_id: int, status: str) -> None:
    db.session.get(Account, account_id).status = status


class TestSweep:
    def test_each_due_lot_gets_one_line_and_one_allocation(self, either_app, later):
        first, second = make_account(), make_account()
        for account_id in (first, second):
            grant(account_id, 10, 1)
            grant(account_id, 20, 2)
            grant(account_id, 40, 5)
            grant(account_id, 80, None)
        later(hours=3)
        swept = sweep_due()
        assert (swept.lots, swept.pages) == (4, 2)
        assert lines_of_type("expiry") == [(first, -10), (first, -20), (second, -10), (second, -20)]
        assert db.session.scalar(select(func.count()).select_from(Allocation)) == 12
        assert db.session.scalars(select(Balance.balance)).all() == [120, 120]

    def test_next_expiry_is_the_soonest_that_is_left(self, either_app, later):
        account_id = make_account()
        grant(account_id, 10, 1)
        grant(account_id, 20, 5)
        hold(account_id, 5, 4 * 3600)
        later(hours=2)
        sweep_due()
        db.session.rollback()
        left = db.session.scalar(select(Balance.next_expiry_at))
        assert left == db.session.scalar(select(Hold.expires_at))

    def test_second_sweep_does_nothing(self, either_app, later):
        grant(make_account(), 10, 1)
        later(hours=2)
        sweep_due()
        assert sweep_due().units == 0
        assert len(lines_of_type("expiry")) == 1

    def test_units_smaller_than_a_page_end_it_bit_by_bit(self, either_app, later, monkeypatch):
        monkeypatch.setattr(expiry_sweep, "FIRST_LOTS", 3)
        monkeypatch.setattr(expiry_sweep, "FEWEST_LOTS", 3)
        monkeypatch.setattr(expiry_sweep, "MOST_LOTS", 3)
        ids = [make_account() for _ in range(4)]
        for account_id in ids:
            for number in range(5):
                grant(account_id, number + 1, 1)
        later(hours=2)
        swept = sweep_due()
        assert swept.lots == 20
        assert swept.units >= 7
        assert db.session.scalars(select(Balance.balance)).all() == [0] * 4
        assert db.session.scalars(select(Balance.next_expiry_at)).all() == [None] * 4

    def test_held_part_of_a_lot_expires_when_its_hold_ends(self, either_app, later):
        account_id = make_account()
        grant(account_id, 10, 1)
        hold(account_id, 4, 2 * 3600)
        later(hours=1, minutes=30)
        sweep_due()
        assert lines_of_type("expiry") == [(account_id, -6)]
        later(hours=3)
        sweep_due()
        assert lines_of_type("expiry") == [(account_id, -6), (account_id, -4)]
        assert db.session.scalars(select(Hold.status)).all() == ["expired"]

    def test_pages_with_holds_beside_pages_without(self, either_app, later, monkeypatch):
        monkeypatch.setattr(expiry_sweep, "FIRST_LOTS", 4)
        monkeypatch.setattr(expiry_sweep, "FEWEST_LOTS", 4)
        monkeypatch.setattr(expiry_sweep, "MOST_LOTS", 4)
        ids = [make_account() for _ in range(6)]
        for number, account_id in enumerate(ids):
            for _ in range(6):
                grant(account_id, 10, 1)
            if number % 2:
                hold(account_id, 25, 600)
                hold(account_id, 5, 900)
        later(hours=2)
        assert sweep_due().lots == 36
        assert db.session.scalars(select(Balance.balance)).all() == [0] * 6
        assert db.session.scalars(select(Balance.held)).all() == [0] * 6
        assert db.session.scalar(select(func.sum(Grant.held))) == 0

    def test_credit_types_of_one_account_stay_apart(self, either_app, later):
        make_credit_type("sms", scale=4)
        account_id = make_account()
        grant(account_id, 10, 1)
        grant(account_id, 50_000, 1, "sms")
        grant(account_id, 30, 9, "sms")
        later(hours=2)
        assert sweep_due().lots == 2
        db.session.rollback()
        assert sorted(db.session.scalars(select(Balance.balance))) == [0, 30]

    def test_parked_account_stays_as_it_is(self, either_app, later):
        parked, other = make_account(), make_account()
        for account_id in (parked, other):
            grant(account_id, 10, 1)
        set_status(parked, "parked")
        later(hours=2)
        assert sweep_due().lots == 1
        assert lines_of_type("expiry") == [(other, -10)]

    def test_holds_only_leaves_lots_alone(self, either_app, later):
        with_hold, without = make_account(), make_account()
        grant(with_hold, 10, None)
        grant(without, 10, 1)
        hold(with_hold, 4, 600)
        later(hours=2)
        assert sweep_due(holds_only=True).pages == 1
        db.session.rollback()
        assert db.session.scalars(select(Hold.status)).all() == ["expired"]
        assert lines_of_type("expiry") == []

    def test_it_stops_when_told(self, app, later):
        grant(make_account(), 10, 1)
        later(hours=2)
        assert sweep_due(lambda: True).units == 0
        assert lines_of_type("expiry") == []

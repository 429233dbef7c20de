"""Credits that go out."""

from datetime import timedelta

import pytest

from errors import AccountFrozen, InsufficientCredits, InvalidRequest
from extensions import db
from services.ledger.history import allocations_of, line_of
from tests.conftest import make_credit_type
from tests.services.ledger.desk import Clock, Desk, set_status


class TestSpendCredits:
    def test_spend_writes_line_allocations_and_balance(self, desk: Desk) -> None:
        lot = desk.grant(100).grant_id
        receipt = desk.spend(30, task_id="task-1", description="Predict")
        assert (receipt.balance_before, receipt.balance_after) == (100, 70)
        line = line_of(desk.account_id, receipt.transaction_id)
        assert (line.type, line.amount, line.balance_before, line.balance_after, line.sequence) == (
            "usage", -30, 100, 70, 2,
        )  # fmt: skip
        assert [(a.grant_id, a.amount) for a in allocations_of(line.id)] == [(lot, -30)]
        assert (desk.kept().balance, desk.kept().used) == (70, 30)

    def test_burn_order_is_priority_then_expiry_then_age(self, desk: Desk, clock: Clock) -> None:
        late = desk.grant(1, expires_at=clock.now + timedelta(days=9)).grant_id
        soon = desk.grant(1, expires_at=clock.now + timedelta(days=2)).grant_id
        never = desk.grant(1).grant_id
        never_but_early = desk.grant(1, priority=100).grant_id
        first = desk.grant(1, priority=0).grant_id
        last = desk.grant(1, priority=1000, expires_at=clock.now + timedelta(days=1)).grant_id
        younger = desk.grant(1).grant_id
        drawn = [draw.grant_id for draw in desk.spend(7).draws]
        assert drawn == [first, soon, late, never_but_early, never, younger, last]

    def test_more_lots_than_a_first_look_are_drawn_in_order(self, desk: Desk) -> None:
        lots = [desk.grant(1).grant_id for _ in range(9)]
        assert [draw.grant_id for draw in desk.spend(8).draws] == lots[:8]
        assert desk.remaining() == [0] * 8 + [1]

    def test_subscription_goes_before_permanent_and_is_told_apart(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10, "purchase")
        desk.grant(10, "subscription", expires_at=clock.now + timedelta(days=30))
        receipt = desk.spend(12)
        assert receipt.from_subscription == 10
        position = desk.position()
        assert (position.subscription, position.permanent) == (0, 8)

    def test_exactly_the_balance_can_be_spent(self, desk: Desk) -> None:
        desk.grant(5)
        assert desk.spend(5).balance_after == 0

    def test_one_more_than_available_is_refused_with_numbers(self, desk: Desk) -> None:
        desk.grant(5)
        desk.hold(2)
        with pytest.raises(InsufficientCredits) as refused:
            desk.spend(4)
        assert refused.value.members == {"required": 4, "available": 3, "credit_type": "credits"}
        assert desk.lines() == [("bonus", 5)]

    @pytest.mark.parametrize("amount", [0, -5])
    def test_amount_below_one_is_refused(self, desk: Desk, amount: int) -> None:
        desk.grant(5)
        desk.spend(5)
        with pytest.raises(InvalidRequest, match="amount"):
            desk.spend(amount)
        assert desk.balance == 0

    def test_credit_types_do_not_mix(self, desk: Desk) -> None:
        make_credit_type("sms", scale=4, is_money=True, currency="usd")
        wallet = Desk(desk.account_id, "sms")
        wallet.grant(528800, "purchase")
        desk.grant(3)
        with pytest.raises(InsufficientCredits) as refused:
            wallet.spend(528801)
        assert refused.value.members["available"] == 52.88
        assert desk.balance == 3

    def test_last_instant_before_expiry_spends_and_the_expiry_itself_does_not(
        self, desk: Desk, clock: Clock
    ) -> None:
        desk.grant(10, expires_at=clock.now + timedelta(days=1))
        clock.advance(days=1, microseconds=-1)
        desk.spend(4)
        clock.advance(microseconds=1)
        with pytest.raises(InsufficientCredits):
            desk.spend(1)
        assert desk.balance == 0
        assert desk.lines()[-1] == ("expiry", -6)

    def test_due_expiry_is_booked_before_the_spend(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10, expires_at=clock.now + timedelta(days=1))
        desk.grant(10)
        clock.advance(days=2)
        assert desk.spend(1).balance_before == 10
        assert desk.lines() == [("bonus", 10), ("bonus", 10), ("expiry", -10), ("usage", -1)]

    def test_frozen_account_cannot_spend_and_past_due_can(self, desk: Desk) -> None:
        desk.grant(5)
        set_status(desk.account_id, "frozen")
        with pytest.raises(AccountFrozen):
            desk.spend(1)
        set_status(desk.account_id, "past_due")
        assert desk.spend(1).balance_after == 4

    def test_parked_account_can_be_read_but_not_spent_from(self, desk: Desk) -> None:
        desk.grant(5)
        set_status(desk.account_id, "parked")
        db.session.rollback()
        with pytest.raises(AccountFrozen):
            desk.spend(1)
        assert desk.balance == 5


class TestAdjustDown:
    def test_correction_draws_in_burn_order_and_counts_as_removed(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10)
        desk.grant(4, expires_at=clock.now + timedelta(days=1))
        desk.adjust_down(6)
        assert desk.lines()[-1] == ("adjustment", -6)
        assert desk.remaining() == [8, 0]
        assert (desk.kept().removed, desk.kept().used) == (6, 0)

    def test_more_than_there_is_is_refused(self, desk: Desk) -> None:
        desk.grant(10)
        desk.hold(5)
        with pytest.raises(InsufficientCredits):
            desk.adjust_down(6)

    def test_frozen_account_can_be_corrected(self, desk: Desk) -> None:
        desk.grant(10)
        set_status(desk.account_id, "frozen")
        assert desk.adjust_down(1).balance_after == 9

"""Credits that come in."""

from datetime import timedelta

import pytest

from errors import AccountFrozen, BalanceLimit, InvalidRequest, NotFound
from services.money import MAX_UNITS
from tests.services.ledger.desk import Clock, Desk, set_status


class TestGrantCredits:
    def test_bonus_makes_one_lot_and_one_line(self, desk: Desk) -> None:
        receipt = desk.grant(100)
        assert receipt.balance_after == 100
        assert desk.lines() == [("bonus", 100)]
        (lot,) = desk.lots()
        assert (lot.amount, lot.remaining, lot.held, lot.priority, lot.expires_at) == (100, 100, 0, 200, None)
        assert desk.kept().granted == 100

    def test_expiring_grant_is_spent_earlier_by_default(self, desk: Desk, clock: Clock) -> None:
        desk.grant(5, expires_at=clock.now + timedelta(days=1))
        assert desk.lots()[0].priority == 100
        assert desk.kept().next_expiry_at == clock.now + timedelta(days=1)

    def test_purchase_counts_as_purchased(self, desk: Desk) -> None:
        desk.grant(30, "purchase")
        desk.grant(20, "overage")
        desk.grant(7, "subscription")
        kept = desk.kept()
        assert (kept.purchased, kept.granted, kept.subscription) == (50, 7, 7)

    @pytest.mark.parametrize("seconds", [0, -1])
    def test_expiry_that_is_not_in_the_future_is_refused(
        self, desk: Desk, clock: Clock, seconds: int
    ) -> None:
        with pytest.raises(InvalidRequest, match="expires_at"):
            desk.grant(5, expires_at=clock.now + timedelta(seconds=seconds))
        assert desk.lots() == []

    @pytest.mark.parametrize("priority", [-1, 1001])
    def test_priority_out_of_range_is_refused(self, desk: Desk, priority: int) -> None:
        with pytest.raises(InvalidRequest, match="priority"):
            desk.grant(5, priority=priority)

    @pytest.mark.parametrize("amount", [0, -1])
    def test_amount_below_one_is_refused(self, desk: Desk, amount: int) -> None:
        with pytest.raises(InvalidRequest, match="amount"):
            desk.grant(amount)
        assert desk.lines() == []

    def test_amount_beyond_cap_is_refused(self, desk: Desk) -> None:
        with pytest.raises(BalanceLimit):
            desk.grant(MAX_UNITS + 1)

    def test_balance_beyond_cap_is_refused_whole(self, desk: Desk) -> None:
        desk.grant(MAX_UNITS)
        with pytest.raises(BalanceLimit):
            desk.grant(1)
        assert desk.remaining() == [MAX_UNITS]
        assert desk.balance == MAX_UNITS

    def test_total_beyond_cap_is_refused_so_that_no_expiry_ever_is(self, desk: Desk, clock: Clock) -> None:
        desk.grant(MAX_UNITS, "purchase", expires_at=clock.now + timedelta(days=1))
        clock.advance(days=1)
        assert desk.balance == 0
        with pytest.raises(BalanceLimit):
            desk.grant(1)
        assert desk.kept().expired == MAX_UNITS

    def test_unknown_account_is_not_found(self, desk: Desk) -> None:
        with pytest.raises(NotFound):
            Desk(10**6).grant(1)

    def test_unknown_credit_type_is_refused(self, desk: Desk) -> None:
        with pytest.raises(InvalidRequest, match="credit_type"):
            Desk(desk.account_id, "gold").grant(1)

    def test_frozen_account_still_receives(self, desk: Desk) -> None:
        set_status(desk.account_id, "frozen")
        assert desk.grant(4).balance_after == 4

    def test_parked_account_is_refused(self, desk: Desk) -> None:
        set_status(desk.account_id, "parked")
        with pytest.raises(AccountFrozen, match="parked"):
            desk.grant(4)
        assert desk.lots() == []

"""Credits from one account to another."""

from datetime import timedelta

import pytest

from errors import AccountFrozen, BalanceLimit, InsufficientCredits, InvalidRequest
from services.money import MAX_UNITS
from tests.services.ledger.desk import Clock, Desk, set_status


class TestTransferCredits:
    def test_transfer_writes_two_lines_and_names_the_origin(self, desk: Desk) -> None:
        other = Desk.open()
        first, second = desk.grant(10).grant_id, desk.grant(10).grant_id
        receipt = desk.transfer(other, 15)
        assert (receipt.from_balance, receipt.to_balance) == (5, 15)
        assert desk.lines()[-1] == ("transfer", -15)
        assert other.lines() == [("transfer", 15)]
        assert [(lot.amount, lot.origin_grant_id, lot.source) for lot in other.lots()] == [
            (10, first, "transfer"),
            (5, second, "transfer"),
        ]
        assert (desk.kept().removed, other.kept().granted) == (15, 15)

    def test_only_credits_without_expiry_move(self, desk: Desk, clock: Clock) -> None:
        other = Desk.open()
        desk.grant(10)
        desk.grant(10, expires_at=clock.now + timedelta(days=1))
        with pytest.raises(InsufficientCredits) as refused:
            desk.transfer(other, 11)
        assert refused.value.members["available"] == 10
        desk.transfer(other, 10)
        assert desk.remaining() == [0, 10]

    def test_held_credits_do_not_move(self, desk: Desk) -> None:
        desk.grant(10)
        desk.hold(4)
        with pytest.raises(InsufficientCredits):
            desk.transfer(Desk.open(), 7)

    def test_to_itself_is_refused(self, desk: Desk) -> None:
        desk.grant(10)
        with pytest.raises(InvalidRequest, match="to"):
            desk.transfer(desk, 1)

    @pytest.mark.parametrize("amount", [0, -3])
    def test_amount_below_one_is_refused(self, desk: Desk, amount: int) -> None:
        desk.grant(10)
        with pytest.raises(InvalidRequest, match="amount"):
            desk.transfer(Desk.open(), amount)

    def test_receiver_beyond_cap_leaves_both_as_they_were(self, desk: Desk) -> None:
        other = Desk.open()
        other.grant(MAX_UNITS)
        desk.grant(10)
        with pytest.raises(BalanceLimit):
            desk.transfer(other, 1)
        assert (desk.balance, other.balance) == (10, MAX_UNITS)
        assert desk.lines() == [("bonus", 10)]

    @pytest.mark.parametrize(("giver", "taker"), [("frozen", "active"), ("active", "parked")])
    def test_frozen_gives_nothing_and_parked_takes_nothing(self, desk: Desk, giver: str, taker: str) -> None:
        other = Desk.open()
        desk.grant(10)
        set_status(desk.account_id, giver)
        set_status(other.account_id, taker)
        with pytest.raises(AccountFrozen):
            desk.transfer(other, 1)
        assert desk.remaining() == [10]

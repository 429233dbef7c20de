"""Credits set aside."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from errors import AccountFrozen, HoldNotOpen, InsufficientCredits, InvalidRequest, NotFound
from extensions import db
from models.ledger import Hold
from tests.services.ledger.desk import Clock, Desk, set_status


def stored(hold_id: int) -> Hold:
    db.session.rollback()
    return db.session.scalars(select(Hold).where(Hold.id == hold_id)).one()


class TestCreateHold:
    def test_hold_reserves_lots_in_burn_order_and_writes_no_line(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10)
        desk.grant(10, expires_at=clock.now + timedelta(days=1))
        desk.hold(12)
        assert [lot.held for lot in desk.lots()] == [2, 10]
        position = desk.position()
        assert (position.balance, position.held, position.available) == (20, 12, 8)
        assert len(desk.lines()) == 2

    def test_held_credits_cannot_be_held_again(self, desk: Desk) -> None:
        desk.grant(10)
        desk.hold(7)
        with pytest.raises(InsufficientCredits) as refused:
            desk.hold(4)
        assert refused.value.members["available"] == 3

    @pytest.mark.parametrize("seconds", [0, 86_401])
    def test_duration_out_of_range_is_refused(self, desk: Desk, seconds: int) -> None:
        desk.grant(10)
        with pytest.raises(InvalidRequest, match="expires_in"):
            desk.hold(1, expires_in=seconds)

    def test_frozen_account_cannot_hold_but_can_capture_and_release(self, desk: Desk) -> None:
        desk.grant(10)
        first, second = desk.hold(3), desk.hold(3)
        set_status(desk.account_id, "frozen")
        with pytest.raises(AccountFrozen):
            desk.hold(1)
        desk.capture(first)
        desk.release(second)
        assert desk.position().available == 7

    def test_spend_passes_over_what_is_held(self, desk: Desk) -> None:
        desk.grant(5)
        desk.grant(5)
        desk.hold(5)
        assert [draw.grant_id for draw in desk.spend(5).draws] == [desk.lots()[1].id]


class TestCaptureHold:
    def test_part_is_spent_and_rest_returns(self, desk: Desk) -> None:
        desk.grant(4)
        desk.grant(6)
        hold_id = desk.hold(8, task_id="job-9")
        receipt = desk.capture(hold_id, 5)
        assert (receipt.captured, receipt.released, receipt.balance_after) == (5, 3, 5)
        assert [(lot.remaining, lot.held) for lot in desk.lots()] == [(0, 0), (5, 0)]
        assert desk.lines()[-1] == ("usage", -5)
        hold = stored(hold_id)
        assert (hold.status, hold.captured, hold.transaction_id) == ("captured", 5, receipt.transaction_id)

    @pytest.mark.parametrize("amount", [9, 0])
    def test_more_than_held_or_nothing_is_refused(self, desk: Desk, amount: int) -> None:
        desk.grant(10)
        hold_id = desk.hold(8)
        with pytest.raises(InvalidRequest, match="amount"):
            desk.capture(hold_id, amount)
        assert stored(hold_id).status == "open"

    def test_second_capture_is_refused(self, desk: Desk) -> None:
        desk.grant(10)
        hold_id = desk.hold(8)
        desk.capture(hold_id, 1)
        with pytest.raises(HoldNotOpen) as refused:
            desk.capture(hold_id, 1)
        assert refused.value.members == {"hold_status": "captured"}
        assert desk.balance == 9

    def test_another_accounts_hold_is_not_found(self, desk: Desk) -> None:
        desk.grant(10)
        hold_id = desk.hold(8)
        with pytest.raises(NotFound):
            Desk.open().capture(hold_id)

    def test_lot_that_expired_while_held_is_good_for_the_hold(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10, expires_at=clock.now + timedelta(minutes=5))
        hold_id = desk.hold(6, expires_in=3600)
        clock.advance(minutes=5)
        position = desk.position()
        assert (position.balance, position.held, position.available) == (6, 6, 0)
        desk.capture(hold_id, 4)
        assert desk.lines() == [("bonus", 10), ("expiry", -4), ("usage", -4), ("expiry", -2)]
        assert desk.balance == 0


class TestTimeOut:
    def test_hold_past_its_time_does_not_count_though_no_job_ran(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10)
        hold_id = desk.hold(10, expires_in=60)
        clock.advance(seconds=60)
        assert desk.position().available == 10
        assert stored(hold_id).status == "expired"

    @pytest.mark.parametrize("action", ["capture", "release"])
    def test_ended_hold_cannot_be_used(self, desk: Desk, clock: Clock, action: str) -> None:
        desk.grant(10)
        hold_id = desk.hold(10, expires_in=60)
        clock.advance(seconds=60)
        with pytest.raises(HoldNotOpen):
            getattr(desk, action)(hold_id)
        assert desk.lines() == [("bonus", 10)]

    def test_last_instant_captures(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10)
        hold_id = desk.hold(10, expires_in=60)
        clock.advance(seconds=60, microseconds=-1)
        assert desk.capture(hold_id).balance_after == 0

    def test_held_part_of_an_expired_lot_expires_with_its_hold(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10, expires_at=clock.now + timedelta(seconds=30))
        desk.hold(6, expires_in=60)
        clock.advance(seconds=45)
        assert desk.balance == 6
        clock.advance(seconds=15)
        assert desk.balance == 0
        assert desk.lines() == [("bonus", 10), ("expiry", -4), ("expiry", -6)]

    def test_release_after_the_lot_expired_expires_it(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10, expires_at=clock.now + timedelta(seconds=30))
        hold_id = desk.hold(6, expires_in=60)
        clock.advance(seconds=30)
        desk.release(hold_id)
        assert desk.kept().balance == 0
        assert desk.lines()[-1] == ("expiry", -6)

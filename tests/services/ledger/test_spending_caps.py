"""The spending cap: enforced in the spend, by the month of the account's zone, net of refunds."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import select

from errors import InsufficientCredits, InvalidRequest, SpendingCapReached
from extensions import db
from models.audit import AuditEvent
from models.ledger import Balance
from services.ledger.payment_holds import hold_payment_credits
from services.ledger.proof import verify_ledger
from services.ledger.spending_caps import SpendingCap, set_spending_cap, spending_caps
from tests.services.ledger.desk import Clock, Desk, at_once, make_payment, sql


def cap(desk: Desk, units: int | None) -> None:
    set_spending_cap(desk.account_id, desk.credit_type, units, "user:1")


def shown(desk: Desk) -> SpendingCap:
    return spending_caps(desk.account_id)[0]


def refused(desk: Desk, amount: int) -> dict:
    with pytest.raises(SpendingCapReached) as refusal:
        desk.spend(amount)
    return refusal.value.members


class TestSpend:
    def test_stops_at_the_cap_and_says_what_is_left(self, desk: Desk) -> None:
        desk.grant(100)
        cap(desk, 30)
        desk.spend(25)
        assert refused(desk, 6) == {
            "required": 6, "left": 5, "cap": 30, "credit_type": "credits", "resets_at": "2026-02-01T00:00:00Z",
        }  # fmt: skip
        desk.spend(5)
        assert refused(desk, 1)["left"] == 0
        assert (desk.balance, desk.kept().cap_used) == (70, 30)
        assert desk.lines() == [("bonus", 100), ("usage", -25), ("usage", -5)]

    def test_what_was_spent_before_the_cap_was_set_counts(self, desk: Desk) -> None:
        desk.grant(100)
        line = desk.spend(25).transaction_id
        desk.refund(line, 5)
        cap(desk, 30)
        assert refused(desk, 11)["left"] == 10

    def test_short_of_credits_is_told_before_the_cap(self, desk: Desk) -> None:
        desk.grant(10)
        cap(desk, 5)
        with pytest.raises(InsufficientCredits):
            desk.spend(11)

    def test_a_cap_taken_away_or_lowered_holds_from_then_on(self, desk: Desk) -> None:
        desk.grant(100)
        cap(desk, 30)
        desk.spend(30)
        cap(desk, 20)
        assert refused(desk, 1)["left"] == 0
        cap(desk, None)
        desk.spend(40)
        row = desk.kept()
        assert (row.spending_cap, row.cap_used, row.cap_starts_at) == (None, None, None)
        assert spending_caps(desk.account_id) == []

    def test_corrections_and_transfers_are_no_spending(self, desk: Desk) -> None:
        desk.grant(100)
        cap(desk, 1)
        desk.adjust_down(40)
        desk.transfer(Desk.open(), 50)
        desk.spend(1)
        assert desk.kept().cap_used == 1

    def test_may_be_set_before_there_is_any_credit(self, desk: Desk) -> None:
        cap(desk, 10)
        assert (shown(desk).cap, shown(desk).used, shown(desk).left) == (10, 0, 10)
        desk.grant(100)
        assert refused(desk, 11)["left"] == 10

    @pytest.mark.parametrize("units", [0, -1, 10**15 + 1])
    def test_of_nothing_or_too_much_is_refused(self, desk: Desk, units: int) -> None:
        with pytest.raises(InvalidRequest):
            cap(desk, units)
        assert spending_caps(desk.account_id) == []

    def test_is_written_to_the_audit_log_when_it_changes(self, desk: Desk) -> None:
        cap(desk, 10)
        cap(desk, 10)
        cap(desk, None)
        actions = db.session.scalars(select(AuditEvent.action)).all()
        assert actions == ["spending_cap.set", "spending_cap.set"]


class TestMonth:
    def test_begins_anew_on_the_first_in_the_accounts_zone(self, either_app: Flask, clock: Clock) -> None:
        desk = Desk.open(time_zone="America/New_York")
        desk.grant(100)
        cap(desk, 10)
        desk.spend(10)
        clock.now = datetime(2026, 2, 1, 4, 59, 59, tzinfo=UTC)
        assert refused(desk, 1)["resets_at"] == "2026-02-01T05:00:00Z"
        clock.now = datetime(2026, 2, 1, 5, tzinfo=UTC)
        assert (shown(desk).used, shown(desk).resets_at) == (0, datetime(2026, 3, 1, 5, tzinfo=UTC))
        desk.spend(10)
        assert refused(desk, 1)["resets_at"] == "2026-03-01T05:00:00Z"
        assert desk.balance == 80

    def test_a_clock_turned_back_counts_the_month_it_is(self, desk: Desk, clock: Clock) -> None:
        desk.grant(100)
        cap(desk, 10)
        desk.spend(4)
        clock.advance(days=40)
        desk.spend(10)
        clock.advance(days=-40)
        assert refused(desk, 7)["left"] == 6


class TestRefund:
    def test_gives_room_back(self, desk: Desk) -> None:
        desk.grant(100)
        cap(desk, 30)
        line = desk.spend(30).transaction_id
        desk.refund(line, 12)
        assert refused(desk, 13)["left"] == 12
        desk.spend(12)
        assert (desk.balance, desk.kept().cap_used) == (70, 30)

    def test_of_last_months_spend_gives_no_room_this_month(self, desk: Desk, clock: Clock) -> None:
        desk.grant(100)
        cap(desk, 30)
        line = desk.spend(30).transaction_id
        clock.advance(days=1)
        desk.spend(10)
        desk.refund(line)
        assert refused(desk, 21)["left"] == 20


class TestHolds:
    def test_keep_room_and_their_capture_is_never_refused(self, desk: Desk) -> None:
        desk.grant(100)
        cap(desk, 30)
        hold = desk.hold(20)
        assert refused(desk, 11)["left"] == 10
        with pytest.raises(SpendingCapReached):
            desk.hold(11)
        desk.spend(10)
        desk.capture(hold, 15)
        assert (shown(desk).used, shown(desk).reserved, shown(desk).left) == (25, 0, 5)
        assert desk.position().held == 0

    def test_released_or_timed_out_gives_its_room_back(self, desk: Desk, clock: Clock) -> None:
        desk.grant(100)
        cap(desk, 30)
        desk.release(desk.hold(30))
        desk.hold(30, expires_in=60)
        assert shown(desk).reserved == 30
        clock.advance(seconds=61)
        desk.spend(30)
        assert desk.kept().cap_used == 30

    def test_captured_in_the_next_month_counts_there(self, desk: Desk, clock: Clock) -> None:
        desk.grant(100)
        cap(desk, 30)
        hold = desk.hold(20, expires_in=86_400)
        desk.spend(10)
        clock.advance(hours=13)
        assert refused(desk, 11)["left"] == 10
        desk.capture(hold)
        assert desk.kept().cap_used == 20
        assert desk.kept().cap_starts_at == datetime(2026, 2, 1, tzinfo=UTC)

    def test_what_a_dispute_sets_aside_is_no_spending(self, desk: Desk) -> None:
        desk.grant(100)
        payment = make_payment(desk.account_id)
        desk.grant(50, source="purchase", payment_id=payment)
        cap(desk, 30)
        assert hold_payment_credits(desk.account_id, payment, "stripe:evt") == 50
        desk.spend(30)
        assert desk.kept().cap_used == 30


@pytest.mark.slow
class TestRaces:
    def test_64_at_once_spend_exactly_the_cap(self, either_app: Flask) -> None:
        desk = Desk.open()
        desk.grant(1000)
        cap(desk, 100)
        results = at_once(either_app, [partial(desk.spend, 7)] * 64)
        assert sum(isinstance(result, SpendingCapReached) for result in results) == 50
        assert desk.lines() == [("bonus", 1000)] + [("usage", -7)] * 14
        assert (desk.balance, desk.kept().cap_used) == (902, 98)

    def test_spends_holds_captures_and_refunds_at_once_never_pass_it(self, either_app: Flask) -> None:
        desk = Desk.open()
        desk.grant(1000)
        cap(desk, 100)
        spent = [desk.spend(5).transaction_id for _ in range(4)]
        held = [desk.hold(5) for _ in range(4)]
        calls = [partial(desk.spend, 7)] * 28 + [partial(desk.hold, 3)] * 28
        calls += [partial(desk.capture, hold) for hold in held] + [
            partial(desk.refund, line) for line in spent
        ]
        results = at_once(either_app, calls)
        kinds = {type(result).__name__ for result in results}
        assert kinds <= {"SpendReceipt", "int", "CaptureReceipt", "RefundReceipt", "SpendingCapReached"}
        found = shown(desk)
        assert 90 < found.used + found.reserved <= 100
        assert found.used == 20 + 7 * sum(type(result).__name__ == "SpendReceipt" for result in results)


@pytest.mark.tampers
class TestProof:
    def test_finds_a_count_that_the_journal_does_not_bear_out(self, desk: Desk, clock: Clock) -> None:
        desk.grant(100)
        cap(desk, 30)
        desk.refund(desk.spend(20).transaction_id, 5)
        clock.now += timedelta(days=1)
        desk.spend(3)
        assert verify_ledger(None).passed
        sql("UPDATE balances SET cap_used = 1")
        failures = [failure for failure in verify_ledger(None).failures if failure.check == "spending caps"]
        assert [failure.message for failure in failures] == [
            "counts 1 against its cap; the month's lines say 3"
        ]
        sql("UPDATE balances SET cap_used = 3")

    def test_the_database_keeps_a_cap_whole(self, desk: Desk) -> None:
        desk.grant(100)
        with pytest.raises(Exception, match="cap_is_whole"):
            sql("UPDATE balances SET spending_cap = 5")
        db.session.rollback()
        assert db.session.scalars(select(Balance.spending_cap)).one() is None

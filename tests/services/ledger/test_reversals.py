"""What is undone: spends and payments."""

from datetime import timedelta

import pytest

from errors import Conflict, InvalidRequest, NotFound
from tests.services.ledger.desk import Clock, Desk, make_payment, set_status


class TestRefundSpend:
    def test_refund_fills_the_lots_that_paid_last_first(self, desk: Desk) -> None:
        first, second = desk.grant(10).grant_id, desk.grant(10).grant_id
        spent = desk.spend(15).transaction_id
        receipt = desk.refund(spent, 7)
        assert receipt.allocations == [(second, 5), (first, 2)]
        assert desk.remaining() == [2, 10]
        assert (desk.kept().used, desk.balance) == (8, 12)

    def test_several_refunds_go_on_where_the_one_before_ended(self, desk: Desk) -> None:
        first, second = desk.grant(10).grant_id, desk.grant(10).grant_id
        spent = desk.spend(15).transaction_id
        assert desk.refund(spent, 3).allocations == [(second, 3)]
        assert desk.refund(spent, 4).allocations == [(second, 2), (first, 2)]
        assert desk.refund(spent).allocations == [(first, 8)]
        assert desk.balance == 20

    def test_more_than_was_spent_is_a_conflict_that_says_what_is_left(self, desk: Desk) -> None:
        desk.grant(10)
        spent = desk.spend(6).transaction_id
        desk.refund(spent, 4)
        with pytest.raises(Conflict) as refused:
            desk.refund(spent, 3)
        assert refused.value.members == {"refundable": 2}
        assert desk.balance == 8

    def test_refund_of_what_was_refunded_is_a_conflict(self, desk: Desk) -> None:
        desk.grant(10)
        spent = desk.spend(6).transaction_id
        desk.refund(spent)
        with pytest.raises(Conflict) as refused:
            desk.refund(spent)
        assert refused.value.members == {"refundable": 0}

    def test_line_that_is_no_usage_is_refused(self, desk: Desk) -> None:
        granted = desk.grant(10).transaction_id
        with pytest.raises(InvalidRequest, match="transaction_id"):
            desk.refund(granted)

    def test_another_accounts_line_is_not_found(self, desk: Desk) -> None:
        desk.grant(10)
        spent = desk.spend(6).transaction_id
        with pytest.raises(NotFound):
            Desk.open().refund(spent)

    def test_expired_lot_gives_a_new_one_that_lasts_as_long_as_was_left(
        self, desk: Desk, clock: Clock
    ) -> None:
        old = desk.grant(10, "subscription", expires_at=clock.now + timedelta(days=5)).grant_id
        spent = desk.spend(4).transaction_id
        clock.advance(days=5)
        desk.refund(spent)
        new = desk.lots()[1]
        assert (new.source, new.amount, new.origin_grant_id, new.is_subscription, new.priority) == (
            "refund", 4, old, True, 100,
        )  # fmt: skip
        assert new.expires_at == clock.now + timedelta(days=5)
        assert desk.position().subscription == 4

    def test_refund_lot_lasts_at_least_a_day(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10, expires_at=clock.now + timedelta(minutes=1))
        spent = desk.spend(4).transaction_id
        clock.advance(minutes=1)
        desk.refund(spent)
        assert desk.lots()[1].expires_at == clock.now + timedelta(hours=24)
        clock.advance(hours=24, microseconds=-1)
        assert desk.balance == 4
        clock.advance(microseconds=1)
        assert desk.balance == 0

    def test_refund_of_a_capture_after_its_lot_expired(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10, expires_at=clock.now + timedelta(minutes=1))
        hold_id = desk.hold(5)
        clock.advance(minutes=2)
        spent = desk.capture(hold_id).transaction_id
        desk.refund(spent, 2)
        desk.refund(spent, 3)
        assert [lot.amount for lot in desk.lots()] == [10, 2, 3]
        assert desk.balance == 5

    def test_refund_into_an_empty_lot_is_due_with_it(self, desk: Desk, clock: Clock) -> None:
        ends_at = clock.now + timedelta(days=1)
        desk.grant(10, expires_at=ends_at)
        spent = desk.spend(10).transaction_id
        desk.grant(1, expires_at=clock.now + timedelta(hours=1))
        clock.advance(hours=1)
        assert desk.balance == 0  # booking that expiry found nothing else to wait for
        assert desk.kept().next_expiry_at is None
        desk.refund(spent)
        assert desk.kept().next_expiry_at == ends_at

    def test_frozen_account_is_refunded(self, desk: Desk) -> None:
        desk.grant(10)
        spent = desk.spend(10).transaction_id
        set_status(desk.account_id, "frozen")
        assert desk.refund(spent).balance_after == 10


class TestRevokePaymentCredits:
    def bought(self, desk: Desk, amount: int = 1000, **values: object) -> int:
        payment_id = make_payment(desk.account_id)
        desk.grant(amount, "purchase", payment_id=payment_id, **values)
        return payment_id

    def test_part_of_the_money_takes_that_part_rounded_down(self, desk: Desk) -> None:
        payment_id = self.bought(desk)
        revocation = desk.revoke(payment_id, 3333, 9999)
        assert (revocation.revoked, revocation.unrecovered) == (333, 0)
        assert desk.lines()[-1] == ("revocation", -333)
        assert desk.lots()[0].revoked == 333

    def test_money_is_cumulative_and_a_replay_takes_nothing(self, desk: Desk) -> None:
        payment_id = self.bought(desk)
        assert desk.revoke(payment_id, 100, 1000).revoked == 100
        assert desk.revoke(payment_id, 100, 1000).revoked == 0
        assert desk.revoke(payment_id, 250, 1000).revoked == 150
        assert (desk.balance, desk.kept().removed) == (750, 250)

    def test_spent_and_held_credits_become_unrecovered(self, desk: Desk) -> None:
        payment_id = self.bought(desk)
        desk.spend(600)
        desk.hold(300)
        revocation = desk.revoke(payment_id, 1000, 1000)
        assert (revocation.revoked, revocation.unrecovered) == (100, 900)
        assert desk.position().available == 0

    def test_refunded_spend_settles_unrecovered_first(self, desk: Desk) -> None:
        payment_id = self.bought(desk)
        spent = desk.spend(1000).transaction_id
        desk.revoke(payment_id, 500, 1000)
        desk.refund(spent, 600)
        (lot,) = desk.lots()
        assert (lot.remaining, lot.unrecovered, lot.revoked) == (100, 0, 500)
        assert desk.lines()[-2:] == [("refund", 600), ("revocation", -500)]

    def test_ended_hold_settles_unrecovered_first(self, desk: Desk) -> None:
        payment_id = self.bought(desk)
        hold_id = desk.hold(1000)
        desk.revoke(payment_id, 500, 1000)
        desk.capture(hold_id, 300)
        (lot,) = desk.lots()
        assert (lot.remaining, lot.unrecovered, lot.revoked) == (200, 0, 500)

    def test_timed_out_hold_settles_unrecovered_first(self, desk: Desk, clock: Clock) -> None:
        payment_id = self.bought(desk)
        desk.hold(1000, expires_in=60)
        desk.revoke(payment_id, 400, 1000)
        clock.advance(seconds=60)
        assert desk.balance == 600
        assert desk.lots()[0].unrecovered == 0

    def test_refund_into_an_expired_lot_that_owes_settles_it_and_renews_the_rest(
        self, desk: Desk, clock: Clock
    ) -> None:
        payment_id = self.bought(desk, expires_at=clock.now + timedelta(days=2))
        spent = desk.spend(1000).transaction_id
        desk.revoke(payment_id, 300, 1000)
        clock.advance(days=3)
        desk.refund(spent, 500)
        old, new = desk.lots()
        assert (old.remaining, old.revoked, old.unrecovered, new.amount) == (0, 300, 0, 200)
        assert desk.balance == 200

    def test_due_expiry_is_booked_though_nothing_is_left_to_take(self, desk: Desk, clock: Clock) -> None:
        payment_id = self.bought(desk, 10)
        desk.revoke(payment_id, 1000, 1000)
        desk.grant(5, expires_at=clock.now + timedelta(days=1))
        clock.advance(days=1)
        assert desk.revoke(payment_id, 1000, 1000).revoked == 0
        assert desk.kept().balance == 0
        assert desk.lines()[-1] == ("expiry", -5)

    def test_several_lots_of_a_payment_are_each_taken_in_part(self, desk: Desk) -> None:
        payment_id = make_payment(desk.account_id)
        desk.grant(100, "purchase", payment_id=payment_id)
        desk.grant(50, "purchase", payment_id=payment_id)
        assert desk.revoke(payment_id, 1, 3).revoked == 33 + 16

    def test_transferred_credits_count_as_spent(self, desk: Desk) -> None:
        payment_id = self.bought(desk)
        other = Desk.open()
        desk.transfer(other, 800)
        revocation = desk.revoke(payment_id, 1000, 1000)
        assert (revocation.revoked, revocation.unrecovered) == (200, 800)
        assert other.balance == 800

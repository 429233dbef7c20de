"""Many at once: never an overspend, never a refusal only for being parallel, never an error."""

from collections import Counter
from functools import partial
from time import sleep

import pytest
from flask import Flask

from errors import InsufficientCredits
from extensions import db
from models.audit import AuditEvent
from services import unit_of_work
from services.clock import wall_now
from services.idempotency import Answer, Key, run_once
from services.ledger.opening import lock_accounts
from services.unit_of_work import atomic
from tests.services.ledger.desk import Clock, Desk, at_once

pytestmark = pytest.mark.slow


def kinds(results: list[object]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


class TestSpendsAtOnce:
    def test_64_at_once_spend_exactly_what_fits(self, either_app: Flask) -> None:
        desk = Desk.open()
        desk.grant(100)
        results = at_once(either_app, [partial(desk.spend, 7)] * 64)
        assert kinds(results) == {"SpendReceipt": 14, "InsufficientCredits": 50}
        assert desk.balance == 2
        assert desk.lines() == [("bonus", 100)] + [("usage", -7)] * 14

    def test_spends_mixed_with_grants_and_refunds_keep_every_credit(self, either_app: Flask) -> None:
        desk = Desk.open()
        desk.grant(100)
        spent = [desk.spend(1).transaction_id for _ in range(10)]
        calls = [partial(desk.spend, 7) for _ in range(30)]
        calls += [partial(desk.grant, 10) for _ in range(10)]
        calls += [partial(desk.refund, line) for line in spent]
        calls += [partial(desk.hold, 3) for _ in range(10)]
        found = kinds(at_once(either_app, calls))
        assert found["GrantReceipt"] == 10 and found["RefundReceipt"] == 10
        assert set(found) <= {"SpendReceipt", "GrantReceipt", "RefundReceipt", "int", "InsufficientCredits"}
        assert desk.balance == 200 - 7 * found["SpendReceipt"]
        assert desk.position().held == 3 * found["int"]

    def test_expiry_is_booked_once_by_whoever_comes_first(
        self, either_app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock(monkeypatch)
        desk = Desk.open()
        for _ in range(5):
            desk.grant(10, expires_at=clock.now.replace(year=2027))
        desk.grant(20)
        clock.advance(days=366)
        results = at_once(either_app, [partial(desk.spend, 1)] * 12 + [desk.position] * 12)
        assert kinds(results) == {"SpendReceipt": 12, "Position": 12}
        assert Counter(desk.lines())["expiry", -10] == 5
        assert desk.balance == 8

    def test_one_refund_fits_of_many_at_once(self, either_app: Flask) -> None:
        desk = Desk.open()
        desk.grant(10)
        line = desk.spend(10).transaction_id
        results = at_once(either_app, [partial(desk.refund, line, 6)] * 8)
        assert kinds(results) == {"RefundReceipt": 1, "Conflict": 7}
        assert desk.balance == 6

    def test_one_capture_of_a_hold_wins(self, either_app: Flask) -> None:
        desk = Desk.open()
        desk.grant(10)
        hold_id = desk.hold(10)
        results = at_once(either_app, [partial(desk.capture, hold_id, 4)] * 8)
        assert kinds(results) == {"CaptureReceipt": 1, "HoldNotOpen": 7}
        assert desk.balance == 6


class TestOtherProcesses:
    def test_spends_of_several_processes_fit_exactly(
        self, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process does not share the lock of this one; only SQLite's own stands between them."""

        class NoLock:
            def acquire(self, _timeout_seconds: float) -> bool:
                return True

            def release(self) -> None:
                pass

        monkeypatch.setattr(unit_of_work, "_sqlite_writers", NoLock())
        desk = Desk.open()
        desk.grant(100)
        results = at_once(app, [partial(desk.spend, 7)] * 24)
        assert kinds(results) == {"SpendReceipt": 14, "InsufficientCredits": 10}
        assert desk.balance == 2


class TestTransfersAtOnce:
    def test_transfers_both_ways_never_stop_each_other(self, either_app: Flask) -> None:
        one, two = Desk.open(), Desk.open()
        one.grant(100)
        two.grant(100)
        calls = [partial(one.transfer, two, 3), partial(two.transfer, one, 2)] * 16
        assert kinds(at_once(either_app, calls)) == {"TransferReceipt": 32}
        assert (one.balance, two.balance) == (100 - 48 + 32, 100 + 48 - 32)


class TestDeadlock:
    def test_units_that_wait_for_each_other_are_run_again(self, either_app: Flask) -> None:
        one, two = Desk.open(), Desk.open()
        runs: list[int] = []

        @atomic
        def lock(first: Desk, second: Desk) -> str:
            runs.append(first.account_id)
            lock_accounts(first.account_id)
            sleep(0.2)
            lock_accounts(second.account_id)
            first.grant(1)
            return "done"

        assert at_once(either_app, [partial(lock, one, two), partial(lock, two, one)]) == ["done", "done"]
        assert (one.balance, two.balance) == (1, 1)
        assert len(runs) == (3 if db.engine.dialect.name == "postgresql" else 2)

    def test_rows_that_name_the_account_do_not_make_units_wait_for_each_other(
        self, either_app: Flask
    ) -> None:
        desk = Desk.open()
        runs: list[int] = []

        @atomic
        def fulfil(number: int) -> str:
            runs.append(number)
            event = AuditEvent(actor="x", action="order.paid", account_id=desk.account_id, details="{}")
            event.created_at = wall_now()
            db.session.add(event)
            db.session.flush()
            sleep(0.1)
            desk.grant(5)
            return "done"

        assert at_once(either_app, [partial(fulfil, number) for number in range(4)]) == ["done"] * 4
        assert (desk.balance, sorted(runs)) == (20, [0, 1, 2, 3])


class TestTwinsAtOnce:
    def test_one_key_64_times_at_once_is_one_line_and_64_equal_answers(self, either_app: Flask) -> None:
        desk = Desk.open()
        desk.grant(100)
        key = Key(desk.account_id, "order-1", "same")

        def spend() -> tuple[int, dict[str, int]]:
            return 200, {"transaction_id": desk.spend(7).transaction_id}

        results = at_once(either_app, [partial(run_once, key, spend)] * 64)
        assert {type(result) for result in results} == {Answer}
        assert len({(result.status, result.body) for result in results}) == 1
        assert Counter(result.replayed for result in results) == {False: 1, True: 63}
        assert desk.balance == 93

    def test_refused_twins_all_get_the_one_refusal(self, either_app: Flask) -> None:
        desk = Desk.open()
        desk.grant(5)
        key = Key(desk.account_id, "order-1", "same")

        def spend() -> tuple[int, dict[str, int]]:
            raise InsufficientCredits(available=desk.spend(1).balance_after)

        results = at_once(either_app, [partial(run_once, key, spend)] * 16)
        assert {(result.status, result.body) for result in results} == {(402, results[0].body)}
        assert desk.lines() == [("bonus", 5)]

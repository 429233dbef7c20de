"""One domain operation is one transaction."""

import threading
from time import sleep

import pytest
from flask import Flask

from errors import InsufficientCredits, StorageUnavailable
from services.unit_of_work import FairLock, after_commit, atomic, translated, unit_is_open
from sqlite_library import sqlite
from tests.services.ledger.desk import Desk


class TestAtomic:
    def test_nested_operation_joins_and_goes_with_the_outer_one(self, either_app: Flask) -> None:
        desk = Desk.open()

        @atomic
        def outer() -> None:
            assert unit_is_open()
            desk.grant(5)
            desk.grant(6)
            raise RuntimeError("after both")

        with pytest.raises(RuntimeError):
            outer()
        assert not unit_is_open()
        assert desk.lines() == []

    def test_refusal_inside_takes_everything_back(self, either_app: Flask) -> None:
        desk = Desk.open()

        @atomic
        def outer() -> None:
            desk.grant(5)
            desk.spend(6)

        with pytest.raises(InsufficientCredits):
            outer()
        assert desk.lines() == []

    def test_callbacks_run_after_the_commit_and_not_after_a_failure(self, either_app: Flask) -> None:
        desk = Desk.open()
        seen: list[object] = []

        @atomic
        def outer(fails: bool) -> None:
            desk.grant(5)
            after_commit(lambda: seen.append((unit_is_open(), desk.balance)))
            if fails:
                raise RuntimeError

        outer(False)
        with pytest.raises(RuntimeError):
            outer(True)
        assert seen == [(False, 5)]


class TestTranslated:
    @pytest.mark.parametrize("text", ["database is locked", "disk I/O error", "database or disk is full"])
    def test_what_passes_is_unavailable(self, text: str) -> None:
        error = translated(sqlite.OperationalError(text))
        assert isinstance(error, StorageUnavailable) and error.retry_after_seconds

    @pytest.mark.parametrize("text", ["no such table: x", 'near "SELEC": syntax error'])
    def test_bug_stays_a_bug(self, text: str) -> None:
        mistake = sqlite.OperationalError(text)
        assert translated(mistake) is mistake


class TestFairLock:
    def test_turns_come_in_the_order_of_asking(self) -> None:
        lock, turns = FairLock(), []
        lock.acquire(1)

        def wait(number: int) -> None:
            assert lock.acquire(5)
            turns.append(number)
            lock.release()

        threads = []
        for number in range(6):
            threads.append(threading.Thread(target=wait, args=(number,)))
            threads[-1].start()
            while len(lock._waiting) <= number:
                sleep(0.001)
        lock.release()
        for thread in threads:
            thread.join()
        assert turns == list(range(6))

    def test_who_gives_up_leaves_the_queue(self) -> None:
        lock = FairLock()
        lock.acquire(1)
        assert not lock.acquire(0.01)
        lock.release()
        assert lock.acquire(0.01)

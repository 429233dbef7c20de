"""Requests run one at a time; whoever waits lets others run, and nobody stops them for good."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

import turn
from sandbox.faults import Fault
from services.accounts.api_keys import mint
from services.accounts.passwords import hash_password
from services.unit_of_work import FairLock
from tests.shop import open_shop
from tests.visitor import OutsideClient

ENOUGH_SECONDS = 20.0


def request_to(application: Callable[..., Iterable[bytes]]) -> list[bytes]:
    return list(application({}, lambda *_: None))


@pytest.fixture
def endless_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "PATIENCE_SECONDS", ENOUGH_SECONDS)


@pytest.mark.usefixtures("endless_patience")
class TestInTurn:
    def test_only_one_request_runs_at_a_time(self) -> None:
        at_work, most = [], []

        def slow(_environ: Any, _start: Any) -> list[bytes]:
            at_work.append(1)
            most.append(len(at_work))
            time.sleep(0.01)
            at_work.pop()
            return []

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(request_to, [turn.in_turn(slow)] * 12))
        assert most == [1] * 12

    def test_failure_gives_the_turn_up(self) -> None:
        def broken(_environ: Any, _start: Any) -> list[bytes]:
            raise ValueError

        with pytest.raises(ValueError):
            request_to(turn.in_turn(broken))
        assert not turn._turn.locked()

    def test_streamed_body_is_sent_outside_of_the_turn(self) -> None:
        def streaming(_environ: Any, _start: Any) -> Iterator[bytes]:
            return (str(turn._turn.locked()).encode() for _ in range(2))

        assert request_to(turn.in_turn(streaming)) == [b"False", b"False"]

    @pytest.mark.parametrize("waits_for", ["hash", "writer"])
    def test_waiting_lets_another_run(self, waits_for: str) -> None:
        writers, is_waiting, passed = FairLock(), threading.Event(), threading.Event()
        assert writers.acquire(1)

        def waiting(_environ: Any, _start: Any) -> list[bytes]:
            is_waiting.set()
            if waits_for == "writer":
                assert writers.acquire(ENOUGH_SECONDS)
            else:
                while not passed.is_set():
                    hash_password("correct horse battery staple")
            assert turn._mine.held, "who has waited takes the turn again"
            return []

        def passing(_environ: Any, _start: Any) -> list[bytes]:
            passed.set()
            writers.release()
            return []

        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(request_to, turn.in_turn(waiting))
            assert is_waiting.wait(ENOUGH_SECONDS)
            began = time.monotonic()
            pool.submit(request_to, turn.in_turn(passing)).result(ENOUGH_SECONDS / 2)
            first.result(ENOUGH_SECONDS / 2)
        assert time.monotonic() - began < ENOUGH_SECONDS / 2


class TestPatience:
    def test_request_that_hangs_stops_nobody_for_long(self) -> None:
        hangs, ends = threading.Event(), threading.Event()

        def hanging(_environ: Any, _start: Any) -> list[bytes]:
            hangs.set()
            assert ends.wait(ENOUGH_SECONDS)
            return []

        with ThreadPoolExecutor(5) as pool:
            stuck = pool.submit(request_to, turn.in_turn(hanging))
            assert hangs.wait(ENOUGH_SECONDS)
            others = [pool.submit(request_to, turn.in_turn(lambda *_: [b"."])) for _ in range(4)]
            assert [other.result(ENOUGH_SECONDS / 2) for other in others] == [[b"."]] * 4
            assert not stuck.done()
            ends.set()
            stuck.result(ENOUGH_SECONDS)
        assert not turn._turn.locked()


@pytest.mark.usefixtures("endless_patience")
class TestSlowStripe:
    def test_request_that_waits_for_stripe_does_not_delay_others(self, app: Flask, tmp_path: Path) -> None:
        with open_shop(app, tmp_path) as shop:
            shop.server.api.faults.plan(Fault("slow", seconds=3.0, path="/v1/checkout/sessions"))
            app.wsgi_app = turn.in_turn(app.wsgi_app)  # type: ignore[method-assign]
            token = mint(shop.account_id, "command", ("read", "spend", "manage")).token
            headers = {"Authorization": f"Bearer {token}"}

            def buy() -> int:
                client = OutsideClient(app, app.response_class)
                return client.post(
                    "/api/credits/purchase", json={"package": "popular"}, headers=headers
                ).status_code

            with ThreadPoolExecutor(1) as pool:
                began = time.monotonic()
                bought = pool.submit(buy)
                while not shop.calls("/v1/customers") and time.monotonic() - began < 2:
                    time.sleep(0.01)
                time.sleep(0.3)
                client, asked = OutsideClient(app, app.response_class), time.monotonic()
                assert client.get("/api/credits/balance", headers=headers).status_code == 200
                waited = time.monotonic() - asked
                assert not bought.done(), "the purchase did not wait"
                assert bought.result(ENOUGH_SECONDS) == 201
            assert waited < 1.5

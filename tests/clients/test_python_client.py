"""The Python client against the app over HTTP: effects in the database, retries, refusals."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from coffer_client import (
    Coffer,
    CofferError,
    Conflict,
    HoldNotOpen,
    InsufficientCredits,
    InvalidRequest,
    LimitReached,
    NotFound,
    RateLimited,
    Unauthorized,
    Unreachable,
)
from flask import Flask
from sqlalchemy import select
from werkzeug.serving import make_server

from extensions import db
from models.ledger import Hold, Transaction
from models.usage import MeterWindow
from services.accounts.api_keys import mint
from services.catalog.preset_file import parse_catalog
from services.catalog.presets import load_catalog
from services.ledger.balances import balance_of
from tests.blueprints.api.conftest import ALL_SCOPES, give
from tests.conftest import make_account, make_credit_type
from tests.services.usage.test_meters import CATALOG

ACTIONS = """
[[actions]]
code = "poster"
name = "Poster"
credits = 5
"""
Fault = Callable[["Front", dict[str, Any], Any], Any]


class Front:
    """Stands before the app as a network does: notes each request; the next one may go wrong."""

    def __init__(self, app: Flask):
        self.app = app
        self.faults: list[Fault] = []
        self.seen: list[tuple[str, str | None]] = []
        self.url = ""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.seen.append((environ["PATH_INFO"], environ.get("HTTP_IDEMPOTENCY_KEY")))
        if self.faults:
            return self.faults.pop(0)(self, environ, start_response)
        return self.app(environ, start_response)


def answer_lost(front: Front, environ: dict[str, Any], _start_response: Any) -> Any:
    """The app does its work, and the connection drops before a byte of the answer."""
    answer = front.app(environ, lambda *_args: lambda _data: None)
    b"".join(answer)
    answer.close()
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


def refusal(status: str, code: str, **headers: str) -> Fault:
    """An answer in place of the app's."""

    def fault(_front: Front, environ: dict[str, Any], start_response: Any) -> Any:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        given = [(name.replace("_", "-"), value) for name, value in headers.items()]
        start_response(status, [("Content-Type", "application/problem+json"), *given])
        return [json.dumps({"code": code, "detail": "Not now"}).encode()]

    return fault


@pytest.fixture
def acme(app: Flask) -> int:
    load_catalog(parse_catalog(CATALOG + ACTIONS), "command")
    account_id = make_account("acme")
    give(account_id, 100)
    return account_id


@pytest.fixture
def front(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    monkeypatch.setenv("no_proxy", "*")
    front = Front(app)
    server = make_server("127.0.0.1", 0, front, threaded=True)
    front.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield front
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def coffer(front: Front, acme: int) -> Coffer:
    return Coffer(front.url, mint(acme, "command", ALL_SCOPES).token)


def lines(account_id: int, kind: str = "usage") -> list[Transaction]:
    """The journal's lines of a type, oldest first, as the database has them now."""
    db.session.rollback()
    chosen = select(Transaction).where(Transaction.account_id == account_id, Transaction.type == kind)
    return list(db.session.scalars(chosen.order_by(Transaction.id)))


def available(account_id: int) -> int:
    db.session.rollback()
    return balance_of(account_id, "credits").available


def counted(account_id: int) -> int:
    db.session.rollback()
    window = db.session.scalar(select(MeterWindow).where(MeterWindow.account_id == account_id))
    return window.used if window else 0


def the_hold() -> Hold:
    db.session.rollback()
    return db.session.scalars(select(Hold)).one()


class TestSpending:
    def test_check_balance_deduct_refund(self, coffer: Coffer, acme: int) -> None:
        assert (coffer.check(100), coffer.check(101)) == (True, False)
        spent = coffer.deduct(30, task_id="t-1", description="Scene", metadata={"size": "L"})
        assert (spent.deducted, spent.balance_before, spent.balance_after) == (30, 100, 70)
        (line,) = lines(acme)
        assert (line.id, line.amount, line.task_id, line.description) == (
            spent.transaction_id, -30, "t-1", "Scene",
        )  # fmt: skip
        assert coffer.refund(spent.transaction_id, 10).refunded == 10
        assert coffer.refund(spent.transaction_id).balance_after == 100
        assert [line.amount for line in lines(acme, "refund")] == [10, 20]
        assert (coffer.balance().available, available(acme)) == (100, 100)

    def test_too_few_is_typed_and_takes_nothing(self, coffer: Coffer, acme: int) -> None:
        with pytest.raises(InsufficientCredits) as raised:
            coffer.deduct(101)
        error = raised.value
        assert (error.code, error.status, error.problem["available"]) == ("insufficient_credits", 402, 100)
        assert (available(acme), lines(acme)) == (100, [])

    def test_fractions_stay_exact(self, coffer: Coffer, acme: int) -> None:
        make_credit_type("cents", scale=4)
        give(acme, 10_000, credit_type="cents")
        spent = coffer.deduct(Decimal("0.0075"), credit_type="cents")
        assert (spent.deducted, spent.balance_after) == (Decimal("0.0075"), Decimal("0.9925"))
        assert lines(acme)[0].amount == -75

    def test_a_platform_key_names_the_account(self, front: Front, acme: int) -> None:
        other = make_account("other")
        give(other, 5)
        platform = Coffer(front.url, mint(None, "command", ALL_SCOPES).token, account="acme")
        platform.deduct(1)
        platform.deduct(2, account="other")
        with platform.hold(3, account="other") as hold:
            pass
        assert (available(acme), available(other), hold.captured) == (99, 0, 3)
        assert platform.balance(account="other").available == 0

    def test_an_estimate(self, coffer: Coffer) -> None:
        found = coffer.estimate({"poster": 3})
        assert (found.amount, found.available, found.sufficient) == (15, 100, True)
        assert coffer.estimate([("poster", 20), ("poster", 1)]).sufficient is False


class TestRetries:
    def test_a_lost_answer_takes_the_credits_once(self, coffer: Coffer, front: Front, acme: int) -> None:
        front.faults = [answer_lost]
        spent = coffer.deduct(30)
        (line,) = lines(acme)
        assert (spent.transaction_id, line.amount, available(acme)) == (line.id, -30, 70)
        (_, first), (_, second) = front.seen
        assert first and first == second

    def test_each_call_has_a_key_of_its_own_or_the_one_given(
        self, coffer: Coffer, front: Front, acme: int
    ) -> None:
        coffer.deduct(1)
        coffer.deduct(1)
        assert coffer.deduct(1, idempotency_key="k") == coffer.deduct(1, idempotency_key="k")
        keys = [key for _, key in front.seen]
        assert len(set(keys)) == 3 and keys[2:] == ["k", "k"]
        assert available(acme) == 97

    def test_it_gives_up_after_the_last_attempt(self, front: Front, acme: int) -> None:
        coffer = Coffer(front.url, mint(acme, "command").token, attempts=2)
        front.faults = [answer_lost] * 2
        with pytest.raises(Unreachable) as raised:
            coffer.deduct(30)
        assert (raised.value.status, len(front.seen), available(acme)) == (None, 2, 70)

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            ("429 Too Many Requests", "rate_limited"),
            ("503 Service Unavailable", "storage_unavailable"),
            ("409 Conflict", "conflict"),
        ],
    )
    def test_it_waits_as_long_as_it_is_told(
        self, coffer: Coffer, front: Front, acme: int, status: str, code: str
    ) -> None:
        front.faults = [refusal(status, code, Retry_After="1")]
        started = time.monotonic()
        coffer.deduct(30)
        assert time.monotonic() - started >= 1
        assert (len(front.seen), available(acme)) == (2, 70)

    def test_without_a_word_it_waits_longer_each_time(self, coffer: Coffer, front: Front, acme: int) -> None:
        front.faults = [refusal("503 Service Unavailable", "storage_unavailable")] * 2
        started = time.monotonic()
        coffer.deduct(30)
        assert time.monotonic() - started >= 0.25 / 2 + 0.5 / 2
        assert (len(front.seen), available(acme)) == (3, 70)

    def test_a_wait_too_long_is_left_to_the_caller(self, coffer: Coffer, front: Front, acme: int) -> None:
        front.faults = [refusal("429 Too Many Requests", "rate_limited", Retry_After="3600")]
        with pytest.raises(RateLimited) as raised:
            coffer.deduct(30)
        assert (raised.value.retry_after_seconds, len(front.seen), available(acme)) == (3600, 1, 100)

    def test_other_refusals_are_not_repeated(self, coffer: Coffer, front: Front, acme: int) -> None:
        spent = coffer.deduct(10)
        cases = [
            (Conflict, lambda: coffer.refund(spent.transaction_id, 11)),
            (NotFound, lambda: coffer.deduct(1, account="nobody")),
            (InvalidRequest, lambda: coffer.deduct(-1)),
            (Unauthorized, lambda: Coffer(front.url, "cof_wrong").balance()),
        ]
        for kind, call in cases:
            front.seen.clear()
            with pytest.raises(kind):
                call()
            assert len(front.seen) == 1
        assert available(acme) == 90

    def test_a_redirect_does_not_take_the_key_along(self, coffer: Coffer, front: Front, acme: int) -> None:
        front.faults = [refusal("302 Found", "moved", Location=f"{front.url}/api/credits/balance")]
        with pytest.raises(CofferError) as raised:
            coffer.deduct(30)
        assert (raised.value.status, len(front.seen), available(acme)) == (302, 1, 100)

    def test_an_address_that_is_no_api(self, front: Front, acme: int) -> None:
        def page(_front: Front, _environ: dict[str, Any], start_response: Any) -> Any:
            start_response("200 OK", [("Content-Type", "text/html")])
            return [b"<html>"]

        front.faults = [page, refusal("404 Not Found", "")]
        coffer = Coffer(front.url, "cof_x")
        with pytest.raises(CofferError) as raised:
            coffer.balance()
        assert raised.value.code == "unexpected_answer"
        with pytest.raises(NotFound):
            coffer.balance()
        with pytest.raises(ValueError, match="base_url"):
            Coffer("credits.example.com", "cof_x")


class TestHold:
    def test_all_of_it_is_captured(self, coffer: Coffer, acme: int) -> None:
        with coffer.hold(40, task_id="t-2") as hold:
            assert (available(acme), the_hold().status) == (60, "open")
        assert (the_hold().status, the_hold().captured, available(acme)) == ("captured", 40, 60)
        (line,) = lines(acme)
        assert (hold.transaction_id, line.id, line.task_id) == (line.id, hold.transaction_id, "t-2")

    def test_or_what_was_used(self, coffer: Coffer, front: Front, acme: int) -> None:
        with coffer.hold(40) as hold:
            hold.use(12)
            front.faults = [answer_lost]
        assert (hold.captured, the_hold().captured, available(acme)) == (12, 12, 88)
        assert [line.amount for line in lines(acme)] == [-12]

    def test_nothing_used_is_released(self, coffer: Coffer, acme: int) -> None:
        with coffer.hold(40) as hold:
            hold.use(0)
        assert (the_hold().status, available(acme), lines(acme)) == ("released", 100, [])

    def test_an_exception_releases_it(self, coffer: Coffer, acme: int) -> None:
        with pytest.raises(ZeroDivisionError), coffer.hold(40):
            1 / 0  # noqa: B018
        assert (the_hold().status, available(acme)) == ("released", 100)

    def test_more_than_is_held_is_refused_in_the_block(self, coffer: Coffer, acme: int) -> None:
        with coffer.hold(40) as hold:
            with pytest.raises(ValueError, match="41"):
                hold.use(41)
            hold.use(40)
        assert available(acme) == 60

    def test_a_release_that_fails_is_noted_on_the_exception(self, coffer: Coffer, front: Front) -> None:
        with pytest.raises(ZeroDivisionError) as raised, coffer.hold(40):
            front.faults = [refusal("403 Forbidden", "forbidden")]
            1 / 0  # noqa: B018
        assert "was not released" in raised.value.__notes__[0]
        assert the_hold().status == "open"

    def test_too_few_credits_keep_out(self, coffer: Coffer, acme: int) -> None:
        entered = []
        with pytest.raises(InsufficientCredits), coffer.hold(101):
            entered.append(True)
        assert (entered, available(acme)) == ([], 100)

    def test_one_that_was_ended_by_others_says_so(self, coffer: Coffer, acme: int) -> None:
        with pytest.raises(HoldNotOpen), coffer.hold(40) as hold:
            coffer._release(hold, None)
        assert available(acme) == 100


class TestMetered:
    def test_counts_until_the_limit_and_then_refuses(self, coffer: Coffer, front: Front, acme: int) -> None:
        called = []

        @coffer.metered("calls", quantity=4)
        def predict(text: str) -> str:
            """Says it louder."""
            called.append(text)
            return text.upper()

        front.faults = [answer_lost]
        assert [predict("a"), predict(text="b")] == ["A", "B"]
        with pytest.raises(LimitReached) as raised:
            predict("c")
        assert (raised.value.problem["used"], raised.value.problem["limit"]) == (8, 10)
        assert (called, counted(acme), predict.__doc__) == (["a", "b"], 8, "Says it louder.")

    def test_callers_at_once_do_not_pass_the_limit(self, coffer: Coffer, acme: int) -> None:
        called = []
        predict = coffer.metered("calls")(called.append)

        def tried(number: int) -> bool:
            try:
                predict(number)
            except LimitReached:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(tried, range(14))) == 10
        assert (len(called), counted(acme)) == (10, 10)

    def test_the_account_of_each_call(self, front: Front, acme: int) -> None:
        platform = Coffer(front.url, mint(None, "command", ALL_SCOPES).token)

        @platform.metered("calls", account=lambda customer: customer)
        async def predict(customer: str) -> str:
            return customer

        with ThreadPoolExecutor(1) as pool:  # where no other event loop can be running
            assert pool.submit(asyncio.run, predict("acme")).result() == "acme"
            with pytest.raises(NotFound):
                pool.submit(asyncio.run, predict("nobody")).result()
        assert counted(acme) == 1

    def test_by_hand_and_read(self, coffer: Coffer, acme: int) -> None:
        count = coffer.increment("calls", 3)
        assert (count.used, count.limit, count.remaining, count.credits_used) == (3, 10, 7, 0)
        assert counted(acme) == 3
        report = coffer.usage(days=7)
        assert (report["meters"][0]["used"], len(report["daily"])) == (3, 7)

"""Reads: the balance beside an empty GET view, history pages at any depth, the Overview page.

History is timed in process, where nothing evens the pages out; ``docs/performance.md`` says what each means.
"""

import functools
from collections.abc import Callable

from bench.instance import Instance, instance
from bench.load import Load, loaded
from bench.results import Report, Row
from bench.serving import coffer_server, floor_server, get
from bench.timing import Sample, in_turns, repeated
from extensions import db
from models.ledger import Transaction
from services.ledger.history import HistoryPage, HistoryQuery, history

TITLE = "Balance and history"
CONNECTIONS = 16
LINES, QUICK_LINES = 1_000_000, 10_000


def run(quick: bool = False) -> Report:
    """Balance over HTTP, history in process."""
    rounds, seconds = (2, 0.4) if quick else (5, 1.0)
    with instance(lines=QUICK_LINES if quick else LINES) as found:
        rows = [_balance(found, rounds, seconds), *_history(found, rounds, seconds / 4)]
    return Report("reads", TITLE, rows)


def _balance(found: Instance, rounds: int, seconds: float) -> Row:
    with floor_server(found.folder) as floors, coffer_server(found.environment) as (port, _):
        requests = {
            "empty": (floors, get("/empty")),
            "balance": (port, get("/api/credits/balance", found.token)),
        }
        samples = in_turns(
            {name: functools.partial(_get, *of) for name, of in requests.items()}, rounds, seconds
        )
    floor, balance = samples["empty"].per_second, samples["balance"].per_second
    return Row("balance, 16 connections", f"{balance:,.0f}/s", f"empty GET {floor:,.0f}/s", balance / floor,
               0.25, 0.55)  # fmt: skip


def _get(port: int, request: str, seconds: float) -> Sample:
    return loaded(Load(port=port, request=request, connections=CONNECTIONS, seconds=seconds))


def _history(found: Instance, rounds: int, seconds: float) -> list[Row]:
    """Each way to a page, at the top of the journal and at its far end."""
    last = db.session.query(db.func.max(Transaction.id)).scalar()
    total = db.session.query(db.func.count(Transaction.id)).scalar()
    oldest = db.session.query(db.func.min(Transaction.created_at)).scalar()
    deep = total - 100
    of = functools.partial(HistoryQuery, account_id=found.account_id)
    pairs = {
        "all lines, by cursor": (of(cursor=last), of(cursor=last - deep)),
        "all lines, by offset": (of(), of(offset=deep)),
        "usage, by cursor": (of(type="usage", cursor=last), of(type="usage", cursor=last - deep)),
        "purchases, by cursor": (of(type="purchases", cursor=last), of(type="purchases", cursor=last // 4)),
        "one credit type, by cursor": (
            of(credit_type="credits", cursor=last), of(credit_type="credits", cursor=last - deep),
        ),
        "from a date, by cursor": (of(since=oldest, cursor=last), of(since=oldest, cursor=last - deep)),
        "usage, by offset": (of(type="usage"), of(type="usage", offset=deep - total // 1000)),
    }  # fmt: skip
    return [_page(name, *pair, deep, rounds, seconds) for name, pair in pairs.items()]


def _page(name: str, top: HistoryQuery, far: HistoryQuery, deep: int, rounds: int, seconds: float) -> Row:
    samples = in_turns({"top": repeated(_reading(top)), "far": repeated(_reading(far))}, rounds, seconds)
    ratio = samples["far"].p50_ms / samples["top"].p50_ms
    return Row(f"history page of 50, {name}, at depth {deep:,}", f"p50 {samples['far'].p50_ms:.2f} ms",
               f"at depth 0 {samples['top'].p50_ms:.2f} ms", ratio, 1.2, 1.05, at_most=True)  # fmt: skip


def _reading(query: HistoryQuery) -> Callable[[], HistoryPage]:
    def read() -> HistoryPage:
        page = history(query)
        assert page.lines, "an empty page measures nothing"
        db.session.remove()
        return page

    return read

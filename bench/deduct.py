"""Deduct in process: a bare transaction of the driver beside Coffer's operation, in one thread."""

import itertools
import json
from collections.abc import Callable

from bench.bare import BareLedger
from bench.instance import Instance, instance
from bench.results import Report, Row
from bench.timing import Sample, in_turns, repeated
from services.idempotency import Key, fingerprint_of, run_once
from services.ledger.debits import Spend, SpendReceipt, spend_credits

TITLE = "Deduct in process, one thread"
LINES = (100_000, 1_000_000)
QUICK_LINES = (1_000, 10_000)


def run(quick: bool = False) -> Report:
    """Beside the bare transaction; then many lots beside one, and many lines beside fewer."""
    rounds, seconds = (3, 0.3) if quick else (7, 1.0)
    rows = [*_beside_bare(rounds, seconds), *_lots(rounds, seconds)]
    rows += _lines(QUICK_LINES if quick else LINES, rounds, seconds)
    return Report("deduct", TITLE, rows)


def spending(found: Instance) -> Callable[[], SpendReceipt]:
    """The plain operation."""
    spend = _spend_of(found)
    return lambda: spend_credits(spend)


def spending_with_key(found: Instance) -> Callable[[], object]:
    """The operation under an idempotency key, as the API runs it."""
    spend, numbers = _spend_of(found), itertools.count(1)
    fingerprint = fingerprint_of("POST", "/api/credits/deduct", {"amount": 1})

    def run_with_key() -> object:
        key = Key(found.account_id, f"bench-{next(numbers)}", fingerprint)
        return run_once(
            key, lambda: (200, json.loads(json.dumps({"id": spend_credits(spend).transaction_id})))
        )

    return run_with_key


def _spend_of(found: Instance) -> Spend:
    return Spend(
        account_id=found.account_id, credit_type="credits", amount=1, actor="key:1", task_id="task-1",
        description="Rendered a scene",
    )  # fmt: skip


def _beside_bare(rounds: int, seconds: float) -> list[Row]:
    with instance() as found:
        bare = BareLedger(found.folder / "bare.sqlite")
        samples = in_turns(
            {
                "bare": repeated(bare.deduct),
                "spend": repeated(spending(found)),
                "with key": repeated(spending_with_key(found)),
            },
            rounds,
            seconds,
        )
        bare.close()
    floor = samples["bare"]
    return [
        Row("bare transaction with key", _figures(floor)),
        _against("spend_credits, no key", samples["spend"], floor),
        _against("spend_credits under a key", samples["with key"], floor),
        Row("its CPU", f"{samples['with key'].cpu_ms:.3f} ms", f"bare {floor.cpu_ms:.3f} ms",
            samples["with key"].cpu_ms / floor.cpu_ms),
    ]  # fmt: skip


def _lots(rounds: int, seconds: float) -> list[Row]:
    """With many open lots beside one: two accounts of two instances, in turns."""
    with instance(lots=1) as one:
        few = repeated(_in_context(one, spending_with_key(one)))
        with instance(lots=100) as hundred:
            many = repeated(_in_context(hundred, spending_with_key(hundred)))
            samples = in_turns({"few": few, "many": many}, rounds, seconds)
    return [_against("100 open lots beside 1", samples["many"], samples["few"], 0.8, 0.97)]


def _lines(lines: tuple[int, int], rounds: int, seconds: float) -> list[Row]:
    """With a long journal beside a shorter one."""
    with instance(lines=lines[0]) as short:
        few = repeated(_in_context(short, spending_with_key(short)))
        with instance(lines=lines[1]) as long:
            many = repeated(_in_context(long, spending_with_key(long)))
            samples = in_turns({"few": few, "many": many}, rounds, seconds)
    name = f"{lines[1]:,} journal lines beside {lines[0]:,}"
    return [_against(name, samples["many"], samples["few"], 0.75, 0.9)]


def _in_context(found: Instance, operation: Callable[[], object]) -> Callable[[], object]:
    """The operation in its own app's context, pushed for each call: the same for both contestants."""

    def run_in_context() -> object:
        with found.app.app_context():
            return operation()

    return run_in_context


def _against(
    name: str, sample: Sample, floor: Sample, first: float | None = None, goal: float | None = None
) -> Row:
    ratio = sample.per_second / floor.per_second
    return Row(name, _figures(sample), f"{floor.per_second:,.0f}/s", ratio, first, goal)


def _figures(sample: Sample) -> str:
    return f"{sample.per_second:,.0f}/s, p50 {sample.p50_ms:.3f} ms, CPU {sample.cpu_ms:.3f} ms"

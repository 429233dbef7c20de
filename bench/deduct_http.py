"""Deduct over HTTP: Coffer's server beside plain Flask under the same server, and beside the bare driver."""

import functools
from collections.abc import Callable

from bench.bare import BareLedger
from bench.instance import instance
from bench.load import Load, loaded
from bench.results import Report, Row
from bench.serving import coffer_server, floor_server, post
from bench.timing import Sample, in_turns, repeated

TITLE = "Deduct over HTTP"
CONNECTIONS = 16
OPEN_LOOP_PER_SECOND = 300
BODY = '{"amount": 1, "task_id": "task-1", "description": "Rendered a scene"}'


def run(quick: bool = False) -> Report:
    """C and L of the design, and what Coffer reaches of them, all in the same rounds."""
    rounds, seconds = (2, 0.4) if quick else (5, 1.2)
    with (
        instance() as found,
        floor_server(found.folder) as floors,
        coffer_server(found.environment) as (port, _),
    ):
        deduct = post("/api/credits/deduct", BODY, found.token)
        bare = BareLedger(found.folder / "bare-in-process.sqlite")
        busy = in_turns(
            {
                "bare": repeated(bare.deduct),
                "flask": _load(floors, post("/empty", BODY), CONNECTIONS),
                "flask + bare": _load(floors, post("/deduct", BODY), CONNECTIONS),
                "coffer": _load(port, deduct, CONNECTIONS),
            },
            rounds, seconds,
        )  # fmt: skip
        single = in_turns(
            {
                "bare": repeated(bare.deduct),
                "flask": _load(floors, post("/empty", BODY), 1),
                "flask + bare": _load(floors, post("/deduct", BODY), 1),
                "coffer": _load(port, deduct, 1),
            },
            rounds, seconds,
        )  # fmt: skip
        steady = in_turns(
            {"coffer": _load(port, deduct, CONNECTIONS, OPEN_LOOP_PER_SECOND)}, min(rounds, 3), seconds * 2
        )["coffer"]
        bare.close()
    return Report("deduct_http", TITLE, [*_throughput(busy), *_latency(single), _steady(steady)])


def _load(
    port: int, request: str, connections: int, per_second: float | None = None
) -> Callable[[float], Sample]:
    return functools.partial(_loaded_for, port, request, connections, per_second)


def _loaded_for(
    port: int, request: str, connections: int, per_second: float | None, seconds: float
) -> Sample:
    return loaded(
        Load(port=port, request=request, connections=connections, seconds=seconds, per_second=per_second)
    )


def _throughput(samples: dict[str, Sample]) -> list[Row]:
    bare, flask = samples["bare"].per_second, samples["flask"].per_second
    ceiling = 1 / (1 / bare + 1 / flask)
    beside = f"C = {ceiling:,.0f}/s"
    both, coffer = samples["flask + bare"].per_second, samples["coffer"].per_second
    return [
        Row("bare deduct, in process", f"{bare:,.0f}/s"),
        Row("plain Flask POST, 16 connections", f"{flask:,.0f}/s"),
        Row("plain Flask + bare deduct, 16 connections", f"{both:,.0f}/s", beside, both / ceiling, unit="C"),
        Row("Coffer deduct with key, 16 connections", f"{coffer:,.0f}/s", beside, coffer / ceiling, 0.30, 0.60,
            unit="C"),
    ]  # fmt: skip


def _latency(samples: dict[str, Sample]) -> list[Row]:
    floor = samples["bare"].p50_ms + samples["flask"].p50_ms
    beside = f"L = {floor:.2f} ms"
    both, coffer = samples["flask + bare"].p50_ms, samples["coffer"].p50_ms
    return [
        Row("plain Flask + bare deduct, p50 at 1 connection", f"{both:.2f} ms", beside, both / floor, unit="L"),
        Row("Coffer deduct, p50 at 1 connection", f"{coffer:.2f} ms", beside, coffer / floor, 3, 2,
            at_most=True, unit="L"),
    ]  # fmt: skip


def _steady(sample: Sample) -> Row:
    return Row(
        f"Coffer deduct, p99 at an open loop of {OPEN_LOOP_PER_SECOND}/s", f"p50 {sample.p50_ms:.2f} ms",
        ratio=sample.p99_ms, first=15, goal=5, at_most=True, unit="ms",
    )  # fmt: skip

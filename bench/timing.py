"""How things are timed: contestants in turns, round after round, and the median of the rounds.

A machine that is busy with other things is so for all contestants alike; their ratio holds where the figures
do not.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass

Contestant = Callable[[float], "Sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one contestant. ``cpu_ms`` is of the measuring process; 0 where it is another's."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float = 0.0


def sample_of(latencies_seconds: list[float], took_seconds: float, cpu_seconds: float = 0.0) -> Sample:
    """The sample that so many operations make."""
    assert latencies_seconds, "nothing was measured"
    ordered = sorted(latencies_seconds)
    count = len(ordered)
    return Sample(
        per_second=count / took_seconds,
        p50_ms=ordered[count // 2] * 1000,
        p99_ms=ordered[min(count - 1, count * 99 // 100)] * 1000,
        cpu_ms=cpu_seconds / count * 1000,
    )


def repeated(operation: Callable[[], object]) -> Contestant:
    """A contestant that calls an operation again and again in this thread."""

    def run(seconds: float) -> Sample:
        latencies: list[float] = []
        cpu_before, began = time.process_time(), time.perf_counter()
        until = last = began
        until += seconds
        while last < until:
            operation()
            now = time.perf_counter()
            latencies.append(now - last)
            last = now
        return sample_of(latencies, last - began, time.process_time() - cpu_before)

    return run


def in_turns(contestants: Mapping[str, Contestant], rounds: int, seconds: float) -> dict[str, Sample]:
    """Each contestant once a round, every other round in reverse; the median of each figure."""
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    for contestant in contestants.values():
        contestant(min(seconds, 0.2))
    for number in range(rounds):
        names = list(contestants)
        for name in names if number % 2 == 0 else reversed(names):
            samples[name].append(contestants[name](seconds))
    return {name: median_of(found) for name, found in samples.items()}


def median_of(samples: list[Sample]) -> Sample:
    """The median of each figure."""
    return Sample(*(statistics.median(figures) for figures in zip(*map(astuple, samples), strict=True)))

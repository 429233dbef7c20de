"""Planned trouble for tests: the next calls that match go wrong in a given way."""

import threading
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "reset",
    "effect_then_reset",
    "effect_then_timeout",
    "effect_then_500",
    "500",
    "429",
    "slow",
    "half_answer",
]


@dataclass(slots=True)
class Fault:
    """What goes wrong, for how many calls of which path. ``seconds``: how long slow ones take."""

    kind: Kind
    times: int = 1
    path: str = "/v1/"
    method: str = "POST"
    seconds: float = 0.5


@dataclass(slots=True)
class Faults:
    """The faults in wait."""

    planned: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, fault: Fault) -> None:
        """Let the next matching calls go wrong."""
        with self.lock:
            self.planned.append(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for a call, counted down."""
        with self.lock:
            for fault in self.planned:
                if fault.times > 0 and fault.method == method and path.startswith(fault.path):
                    fault.times -= 1
                    return fault
        return None

"""Planned trouble for tests: the next calls that match go wrong in a given way."""

import threading
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "reset",  # the connection is cut before anything happened
    "slow",  # the call begins late
    "busy",  # the call begins, holds its idempotency key and takes long
    "429",  # refused before anything happened; may be tried again
    "500",  # an error before anything happened
    "effect_then_500",
    "effect_then_reset",
    "effect_then_timeout",  # no answer for a while, then the connection is cut
    "half_answer",
]


@dataclass(slots=True)
class Fault:
    """What goes wrong, for how many calls of which method and beginning of a path.

    ``seconds``: how long slow ones take. ``kept``: the 500 is what the call's idempotency key answers from
    then on, as Stripe does where it fails in the middle.
    """

    kind: Kind
    times: int = 1
    path: str = "/v1/"
    method: str = "POST"
    seconds: float = 0.5
    kept: bool = False


@dataclass(slots=True)
class Faults:
    """The faults in wait."""

    planned: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, fault: Fault) -> None:
        """Let the next matching calls go wrong."""
        with self.lock:
            self.planned.append(fault)

    def clear(self) -> None:
        """Let every call go well again."""
        with self.lock:
            self.planned.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for a call, counted down."""
        with self.lock:
            for fault in self.planned:
                if fault.times > 0 and fault.method == method and path.startswith(fault.path):
                    fault.times -= 1
                    return fault
        return None

"""The clock guard: a machine whose clock jumps must not expire credits or take money.

Paused jobs wait for an operator's word. Source: docs/ledger.md, two clocks; docs/operations.md, clock guard.
"""

from datetime import datetime, timedelta

from services import clock
from services.operations.facts import drop_fact, fact, set_fact

HIGH_WATER = "wall_high_water"
PAUSED = "clock_paused"
MOST_JUMP = timedelta(hours=48)
MOST_BEHIND = timedelta(minutes=5)
KEEP_EVERY = timedelta(minutes=1)


class ClockGuard:
    """Watches the wall clock against the clock that counts from boot, for as long as a process lives."""

    def __init__(self) -> None:
        self._boot_epoch = _boot_epoch()
        self._kept_at: datetime | None = None
        self._has_paused = False

    def check_at_start(self) -> str | None:
        """Pause where the clock lies behind what this database has seen. Returns why jobs are paused."""
        seen = fact(HIGH_WATER)
        if seen is not None and clock.wall_now() < datetime.fromisoformat(seen) - MOST_BEHIND:
            self._pause(f"At start the clock said {clock.iso(clock.wall_now())}, but it was {seen} before.")
        return paused_because()

    def watch(self) -> str | None:
        """Look at both clocks and keep the high-water mark. Returns why jobs are paused, or None."""
        jump = _boot_epoch() - self._boot_epoch
        if abs(jump) > MOST_JUMP:
            if self._has_paused and paused_because() is None:
                self._boot_epoch = _boot_epoch()  # an operator has confirmed the new time
                self._has_paused = False
            elif not self._has_paused:
                self._pause(f"The clock has jumped by {jump} to {clock.iso(clock.wall_now())}.")
        because = paused_because()
        if because is None:
            self._keep_high_water()
        return because

    def _keep_high_water(self) -> None:
        now = clock.wall_now()
        if self._kept_at is not None and abs(now - self._kept_at) < KEEP_EVERY:
            return
        seen = fact(HIGH_WATER)
        if seen is None or now > datetime.fromisoformat(seen):
            set_fact(HIGH_WATER, clock.iso(now))
        self._kept_at = now

    def _pause(self, reason: str) -> None:
        set_fact(PAUSED, reason)
        self._has_paused = True


def paused_because() -> str | None:
    """Why expiry and money jobs are paused; None where they run."""
    return fact(PAUSED)


def confirm_clock() -> str | None:
    """An operator says that the clock is right: jobs go on. Returns what had paused them. Idempotent."""
    because = paused_because()
    set_fact(HIGH_WATER, clock.iso(clock.wall_now()))
    drop_fact(PAUSED)
    return because


def _boot_epoch() -> datetime:
    """When the machine booted, by both clocks: it stays the same unless the wall clock is set."""
    return clock.wall_now() - timedelta(seconds=clock.boot_seconds())

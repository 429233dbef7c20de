"""What a plan includes of a meter: pure calculation. Source: docs/usage.md, limits."""

from dataclasses import dataclass

WARNINGS = (100, 90, 80)


@dataclass(frozen=True, slots=True)
class Limit:
    """A plan's limit on a meter. ``included`` None: without limit.

    Units: ``credits_per_unit`` in the smallest unit of the credit type; None: nothing goes beyond the limit.
    """

    included: int | None = None
    credits_per_unit: int | None = None
    credit_type: str | None = None
    scale: int = 0

    @property
    def blocks(self) -> bool:
        """Whether nothing goes beyond it."""
        return self.included is not None and self.credits_per_unit is None

    def excess(self, used: int, quantity: int) -> int:
        """How much of a further quantity lies beyond the limit."""
        if self.included is None:
            return 0
        return quantity - min(quantity, max(self.included - used, 0))

    def remaining(self, used: int) -> int | None:
        """How much is left of what is included."""
        return None if self.included is None else max(self.included - used, 0)


def percent_of(used: int, included: int | None) -> int | None:
    """How much of the limit is used, in per cent, rounded down; of a limit of nothing, all of it."""
    if included is None:
        return None
    return used * 100 // included if included else 100


def warning_of(used: int, included: int | None) -> int | None:
    """The highest of 80, 90 and 100 per cent that is reached; None below."""
    percent = percent_of(used, included)
    if percent is None or (included == 0 and used == 0):
        return None
    return next((step for step in WARNINGS if percent >= step), None)

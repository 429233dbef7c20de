"""Which lots pay: pure calculation over lots that come in burn order.

Source: docs/ledger.md, burn order: priority, then soonest expiry (none last), then age.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lot:
    """What a draw needs to know of a lot. ``free`` is remaining less held, in units."""

    grant_id: int
    free: int
    is_subscription: bool


@dataclass(frozen=True, slots=True)
class Draw:
    """So many units of one lot."""

    grant_id: int
    amount: int
    is_subscription: bool


def draws(lots: Iterable[Lot], amount: int) -> list[Draw]:
    """Take ``amount`` units from the lots in their order, looking at no more lots than needed.

    The caller has checked that there is enough; a shortfall is a bug.
    """
    taken: list[Draw] = []
    missing = amount
    for lot in lots:
        part = min(lot.free, missing)
        taken.append(Draw(lot.grant_id, part, lot.is_subscription))
        missing -= part
        if missing == 0:
            return taken
    raise AssertionError(f"lots hold {missing} units less than the balance says")


def split_by_largest_remainder(total: int, weights: list[int]) -> list[int]:
    """Split ``total`` in proportion to the weights; what rounding leaves goes to the largest remainders."""
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares

"""Whole minor units."""

from decimal import ROUND_HALF_UP, Decimal


def rounded(amount: Decimal) -> int:
    """To whole minor units, half away from zero."""
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))

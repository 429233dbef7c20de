"""Numbers on their way in and out of the API: units inside, JSON numbers outside."""

import functools
from decimal import Decimal

from babel.numbers import get_currency_symbol

from errors import InvalidRequest
from services.ledger.balances import Position
from services.money import currency_digits, from_units, to_units

MOST_FACTOR_DIGITS = 15
FURTHER_UNIT_COST_DIGITS = 4
MOST_QUANTITY_DIGITS = 6


def priced_units(
    amount: Decimal | None, quantity: Decimal | None, unit_cost: Decimal | None, scale: int
) -> int:
    """The units to spend where amount, quantity × unit cost, or all three are given.

    Raises InvalidRequest where neither gives an exact amount, or where they contradict each other.
    Source: docs/api.md, amounts.
    """
    if quantity is not None:
        _require_factor("quantity", quantity, MOST_QUANTITY_DIGITS)
    if unit_cost is not None:
        _require_factor("unit_cost", unit_cost, scale + FURTHER_UNIT_COST_DIGITS)
    if quantity is None or unit_cost is None:
        if amount is None:
            raise InvalidRequest.of("amount", "is required, or quantity and unit_cost in its place")
        return to_units(amount, scale)
    product = quantity * unit_cost
    if amount is None:
        if product.scaleb(scale) % 1:
            raise InvalidRequest.of("amount", f"is required: quantity × unit_cost, {product:f}, is not exact")
        return to_units(product, scale)
    if amount != product:
        raise InvalidRequest.of("amount", f"is not quantity × unit_cost, which is {product:f}")
    return to_units(amount, scale)


def _require_factor(field: str, number: Decimal, digits: int) -> None:
    if number <= 0:
        raise InvalidRequest.of(field, "must be greater than 0")
    _, significant, exponent = number.normalize().as_tuple()
    if -int(exponent) > digits:
        raise InvalidRequest.of(field, f"has too many digits: at most {digits} decimal digits")
    if len(significant) > MOST_FACTOR_DIGITS or number.adjusted() >= MOST_FACTOR_DIGITS:
        raise InvalidRequest.of(field, f"has too many digits: at most {MOST_FACTOR_DIGITS} in all")


def decimal_text(number: Decimal | None) -> str | None:
    """The plain decimal text of a number, without trailing zeros."""
    return None if number is None else f"{number.normalize():f}"


def decimal_number(text: str | None) -> int | float | None:
    """The JSON number of decimal text; at most 15 digits, which a double prints back exactly."""
    if text is None:
        return None
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else float(number)


def formatted(units: int, position: Position) -> str:
    """An amount as a person reads it: ``1,200``, or ``$52.88`` of money, with 2 to scale digits."""
    number = from_units(units, position.scale)
    digits = -int(number.normalize().as_tuple().exponent)
    if not position.is_money or position.currency is None:
        return f"{number:,.{max(digits, 0)}f}"
    fewest = min(currency_digits(position.currency), position.scale)
    return f"{_symbol(position.currency)}{number:,.{max(digits, fewest)}f}"


@functools.cache
def _symbol(currency: str) -> str:
    symbol = get_currency_symbol(currency.upper(), locale="en_US")
    return f"{symbol} " if symbol == currency.upper() else symbol

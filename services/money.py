"""Amounts: integers of the smallest unit inside, ``Decimal`` at the edges, never a rounded digit.

Source: docs/ledger.md, integers.
"""

import re
from decimal import Decimal, InvalidOperation

from errors import BalanceLimit, InvalidRequest

MAX_UNITS = 10**15
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
ZERO_DECIMAL_CURRENCIES = frozenset(
    (
        *("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"),
        *("pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"),
    )
)
THREE_DECIMAL_CURRENCIES = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])


def parse_decimal(value: object, field: str) -> Decimal:
    """A finite number from JSON (int, Decimal, or text). Raises InvalidRequest naming the field."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise InvalidRequest.of(field, "must be a number")
    if isinstance(value, str) and (len(value) > 40 or not _NUMBER.fullmatch(value.strip())):
        raise InvalidRequest.of(field, "must be a number")
    try:
        number = Decimal(value.strip() if isinstance(value, str) else value)
    except (InvalidOperation, ValueError):
        raise InvalidRequest.of(field, "must be a number") from None
    if not number.is_finite() or (number and abs(number.adjusted()) > 40):
        raise InvalidRequest.of(field, "must be a finite number")
    return number


def to_units(value: object, scale: int, field: str = "amount", *, negative: bool = False) -> int:
    """An amount in the smallest unit of a type with ``scale`` digits.

    Raises InvalidRequest for more digits, by value, than the scale; for zero; for a negative number unless
    ``negative``; BalanceLimit beyond 10^15 units.
    """
    scaled = parse_decimal(value, field).scaleb(scale)
    if scaled != scaled.to_integral_value():
        digits = "whole credits only" if scale == 0 else f"at most {scale} decimal digits"
        raise InvalidRequest.of(field, f"has too many digits: {digits}")
    units = int(scaled)
    if units == 0 or (units < 0 and not negative):
        raise InvalidRequest.of(field, "must not be zero" if negative else "must be greater than 0")
    if abs(units) > MAX_UNITS:
        raise BalanceLimit(f"{field} is larger than Coffer keeps (10^15 of the smallest unit).", field=field)
    return units


def from_units(units: int, scale: int) -> Decimal:
    """The exact decimal of so many units."""
    return Decimal(units).scaleb(-scale)


def to_number(units: int, scale: int) -> int | float:
    """The JSON number of so many units, without trailing zeros.

    At most 10^15 units are kept, so there are at most 15 significant digits, which a double prints back
    exactly (its shortest form); nothing is computed with it.
    """
    if scale == 0:
        return units
    number = from_units(units, scale)
    return int(number) if number == number.to_integral_value() else float(number)


def check_amount(units: int, field: str = "amount") -> None:
    """Raises InvalidRequest for an amount that is not positive, BalanceLimit for one beyond the cap."""
    if units < 1:
        raise InvalidRequest.of(field, "must be greater than 0")
    if units > MAX_UNITS:
        raise BalanceLimit(f"{field} is larger than Coffer keeps (10^15 of the smallest unit).", field=field)


def check_limit(units: int) -> None:
    """Raises BalanceLimit where a balance or total would pass the cap."""
    if units > MAX_UNITS:
        raise BalanceLimit()


def currency_digits(currency: str) -> int:
    """Decimal digits of a currency's minor unit, as Stripe counts them."""
    if currency in ZERO_DECIMAL_CURRENCIES:
        return 0
    return 3 if currency in THREE_DECIMAL_CURRENCIES else 2

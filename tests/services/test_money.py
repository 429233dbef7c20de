"""Amounts at the edges."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import BalanceLimit, InvalidRequest
from services.money import (
    MAX_UNITS,
    check_amount,
    check_limit,
    currency_digits,
    from_units,
    to_number,
    to_units,
)

scales = st.integers(0, 9)


class TestRoundTrip:
    @given(st.integers(1, MAX_UNITS), scales)
    def test_units_survive_json_and_back(self, units: int, scale: int) -> None:
        printed = json.dumps(to_number(units, scale))
        assert to_units(json.loads(printed, parse_float=Decimal), scale) == units
        assert to_units(printed, scale) == units

    @given(st.integers(-MAX_UNITS, MAX_UNITS), scales)
    def test_float_prints_the_exact_decimal(self, units: int, scale: int) -> None:
        assert Decimal(repr(to_number(units, scale))) == from_units(units, scale)

    @given(st.integers(1, MAX_UNITS), scales)
    def test_trailing_zeros_change_nothing(self, units: int, scale: int) -> None:
        assert to_units(f"{from_units(units, scale):f}" + ("000" if scale else ".000"), scale) == units


class TestToUnits:
    @pytest.mark.parametrize(
        ("value", "scale", "units"),
        [(52.88, 4, None), ("52.88", 4, 528800), (Decimal("52.88000"), 4, 528800), (100, 0, 100),
         ("100.0", 0, 100), ("1e3", 0, 1000), ("+5", 0, 5), (" 7 ", 0, 7), ("0.0001", 4, 1)],
    )  # fmt: skip
    def test_values_that_are_numbers(self, value: object, scale: int, units: int | None) -> None:
        if units is None:
            with pytest.raises(InvalidRequest):
                to_units(value, scale)  # a float never gets in: the JSON reader makes decimals
        else:
            assert to_units(value, scale) == units

    @pytest.mark.parametrize(
        "value",
        [True, None, [], {}, "", "abc", "NaN", "Infinity", Decimal("NaN"), Decimal("Infinity"), "1e999999",
         "0x10", "1_000", "1" * 41, 0, -1, "0", "-0.0", "1.5", "١"],
    )  # fmt: skip
    def test_everything_else_is_refused_by_field(self, value: object) -> None:
        with pytest.raises(InvalidRequest) as refused:
            to_units(value, 0, "price")
        assert refused.value.errors[0].field == "price"

    def test_negative_is_taken_where_allowed_and_zero_never(self) -> None:
        assert to_units(-3, 0, negative=True) == -3
        with pytest.raises(InvalidRequest):
            to_units(0, 0, negative=True)

    @pytest.mark.parametrize("value", [MAX_UNITS + 1, "1e16", Decimal("1e40")])
    def test_beyond_the_cap_is_balance_limit(self, value: object) -> None:
        with pytest.raises(BalanceLimit):
            to_units(value, 0)

    def test_the_cap_itself_is_taken(self) -> None:
        assert to_units(MAX_UNITS, 0) == MAX_UNITS
        assert to_units("100000000000.0000", 4) == MAX_UNITS


class TestLimits:
    def test_cap_passes_and_one_more_does_not(self) -> None:
        check_limit(MAX_UNITS)
        check_amount(MAX_UNITS)
        check_amount(1)
        for refuse in (check_limit, check_amount):
            with pytest.raises(BalanceLimit):
                refuse(MAX_UNITS + 1)
        with pytest.raises(InvalidRequest):
            check_amount(0)


class TestCurrencyDigits:
    @pytest.mark.parametrize(("currency", "digits"), [("usd", 2), ("jpy", 0), ("kwd", 3), ("eur", 2)])
    def test_minor_units(self, currency: str, digits: int) -> None:
        assert currency_digits(currency) == digits

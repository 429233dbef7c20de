"""The kinds of field that requests have. A value of another kind is refused by name, never converted."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from errors import InvalidRequest
from services.money import MAX_UNITS, parse_decimal

MAX_ID = 2**63 - 1
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?([Zz]|[+ -]\d{2}:?\d{2})?)?")


def _amount(value: Any) -> Decimal:
    try:
        return parse_decimal(value, "amount")
    except InvalidRequest as error:
        raise ValueError(error.errors[0].message) from None


def whole_number(value: Any) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, Decimal) and value.adjusted() < 19 and value == value.to_integral_value():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("must be a whole number")


def _moment(value: Any) -> datetime:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError("must be a time such as 2026-01-31T12:00:00Z")
    # In a query an unescaped plus arrives as a space.
    text = re.sub(r" (\d{2}:?\d{2})$", r"+\1", value) if len(value) > 19 else value
    try:
        moment = datetime.fromisoformat(text.upper())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2026-01-31T12:00:00Z") from None


def _yes_or_no(value: Any) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    raise ValueError("must be true or false")


def _text_or_number(value: Any) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int) or len(str(value)) > 255:
        raise ValueError("must be text of at most 255 characters")
    return value


Amount = Annotated[
    Decimal,
    PlainValidator(_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "string", "pattern": r"^[+-]?[0-9]+(\.[0-9]+)?$", "maxLength": 40},
            ],
            "description": "A number, or its decimal text; at most the digits of the credit type.",
        }
    ),
]
RowNumber = Annotated[int, BeforeValidator(whole_number), Field(ge=1, le=MAX_ID)]
Seconds = Annotated[int, BeforeValidator(whole_number), Field(ge=1, le=86_400)]
Priority = Annotated[int, BeforeValidator(whole_number), Field(ge=0, le=1000)]
Quantity = Annotated[int, BeforeValidator(whole_number), Field(ge=1, le=MAX_UNITS)]
QuantityOrNone = Annotated[int, BeforeValidator(whole_number), Field(ge=0, le=10**9)]
GaugeValue = Annotated[int, BeforeValidator(whole_number), Field(ge=0, le=MAX_UNITS)]
DaysOfUsage = Annotated[Literal[7, 30, 90], BeforeValidator(whole_number)]
PageSize = Annotated[int, BeforeValidator(whole_number), Field(ge=1, le=100)]
Offset = Annotated[int, BeforeValidator(whole_number), Field(ge=0, le=10**9)]
Moment = Annotated[
    datetime, PlainValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
YesOrNo = Annotated[bool, BeforeValidator(_yes_or_no)]
Name = Annotated[str, Field(strict=True, min_length=1, max_length=255)]
Text255 = Annotated[str, Field(strict=True, max_length=255)]
Text500 = Annotated[str, Field(strict=True, max_length=500)]
Text2000 = Annotated[str, Field(strict=True, max_length=2000)]
CreditTypeCode = Annotated[str, Field(strict=True, min_length=1, max_length=40)]
OutsideId = Annotated[
    str | int,
    PlainValidator(_text_or_number),
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": 255}, {"type": "integer"}]}),
]

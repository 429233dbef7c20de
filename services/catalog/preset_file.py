"""The form of a catalogue file: what it may say, checked before anything is loaded."""

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from babel.numbers import is_currency
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from errors import FieldError, InvalidRequest
from models.catalog import DEFAULT_CREDIT_TYPE, MAX_SCALE
from services.catalog.credit_expiry import EXPIRY_RULE

MAX_CENTS = 10**12
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Amount = int | Decimal | str


class Part(BaseModel):
    """A table of the file; a key that it does not know is an error, not a silence."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


class CatalogPart(Part):
    code: Code
    name: Name
    currency: str = "usd"
    default: bool = False

    @field_validator("currency")
    @classmethod
    def check_currency(cls, value: str) -> str:
        """ISO 4217, lower case."""
        if not re.fullmatch(r"[a-z]{3}", value) or not is_currency(value.upper()):
            raise ValueError("must be an ISO 4217 currency in lower case, such as usd")
        return value


class CreditTypePart(Part):
    code: Code
    name: Name
    scale: int = Field(0, ge=0, le=MAX_SCALE)
    money: bool = False


class PlanPart(Part):
    code: Code
    name: Name
    description: str = Field("", max_length=1000)
    monthly_price_cents: int | None = Field(None, ge=0, le=MAX_CENTS)
    annual_price_cents: int | None = Field(None, ge=0, le=MAX_CENTS)
    contact: bool = False
    credit_type: Code = DEFAULT_CREDIT_TYPE
    credits_per_month: Amount = 0
    credits_expire: str = "period_end+3d"
    features: list[Sentence] = []
    default: bool = False

    @field_validator("credits_expire")
    @classmethod
    def check_rule(cls, value: str) -> str:
        """A rule that ``credits_expire_at`` can follow."""
        if not EXPIRY_RULE.fullmatch(value):
            raise ValueError("must be such as 30d, period_end, period_end+3d or never")
        return value


class PackagePart(Part):
    code: Code
    name: Name
    credit_type: Code = DEFAULT_CREDIT_TYPE
    credits: Amount
    price_cents: int = Field(gt=0, le=MAX_CENTS)
    popular: bool = False
    subscribers_only: bool = False


class CatalogFile(Part):
    """A whole file."""

    catalog: CatalogPart
    credit_types: list[CreditTypePart] = []
    plans: list[PlanPart] = []
    packages: list[PackagePart] = []


def read_catalog_file(path: Path) -> CatalogFile:
    """Read and check a catalogue file. Raises InvalidRequest, which names each wrong place."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest.of("file", f"{path} cannot be read: {error}") from None
    return parse_catalog(text)


def parse_catalog(text: str) -> CatalogFile:
    """Check the text of a catalogue file. Raises InvalidRequest, which names each wrong place."""
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest.of("file", f"is no TOML: {error}") from None
    try:
        file = CatalogFile.model_validate(content)
    except ValidationError as error:
        raise InvalidRequest(*(FieldError(_place(e["loc"]), _words(e)) for e in error.errors())) from None
    problems = [*_repeated_codes(file), *_plan_problems(file)]
    if problems:
        raise InvalidRequest(*problems)
    return file


def _place(location: tuple[int | str, ...]) -> str:
    """``packages[2].price_cents``; the branch of a union, which pydantic adds, is left out."""
    parts = [part for part in location if part not in ("int", "decimal", "str")]
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "file"


def _words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is not known"
    if error["type"] == "missing":
        return "is required"
    return error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")


def _repeated_codes(file: CatalogFile) -> list[FieldError]:
    problems = []
    for name in ("credit_types", "plans", "packages"):
        seen: set[str] = set()
        for position, part in enumerate(getattr(file, name)):
            if part.code in seen:
                problems.append(FieldError(f"{name}[{position}].code", f"{part.code!r} is there twice"))
            seen.add(part.code)
    return problems


def _plan_problems(file: CatalogFile) -> list[FieldError]:
    problems = []
    defaults = [position for position, plan in enumerate(file.plans) if plan.default]
    for position in defaults[1:]:
        problems.append(FieldError(f"plans[{position}].default", "only one plan may be the default"))
    for position, plan in enumerate(file.plans):
        place = f"plans[{position}]"
        if plan.default and plan.monthly_price_cents != 0:
            problems.append(FieldError(f"{place}.monthly_price_cents", "must be 0: the default plan is free"))
        if plan.contact != (plan.monthly_price_cents is None and plan.annual_price_cents is None):
            problems.append(
                FieldError(f"{place}.contact", "must be true where, and only where, no price is given")
            )
    return problems

"""The form of a catalogue file: what it may say, checked before anything is loaded."""

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from babel.numbers import is_currency
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

from errors import FieldError, InvalidRequest
from models.catalog import DEFAULT_CREDIT_TYPE, MAX_SCALE
from services.catalog.credit_expiry import EXPIRY_RULE

MAX_CENTS = 10**12
MAX_LIMIT = 10**15
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


class MeterPart(Part):
    code: Code
    name: Name
    kind: Literal["counter", "gauge"] = "counter"
    ratio_of: Code | None = None
    ratio_name: Name | None = None


class LimitPart(Part):
    """What a plan includes of a meter, and what happens beyond it."""

    included: int | None = Field(None, ge=0, le=MAX_LIMIT)
    over: Literal["block", "credits"] = "block"
    credits_per_unit: Amount | None = None
    credit_type: Code = DEFAULT_CREDIT_TYPE


class OfferPart(Part):
    """So many per cent off the first months of whoever subscribes for the first time, by the month."""

    percent: int = Field(ge=1, le=100)
    months: int = Field(1, ge=1, le=36)


class ActionPart(Part):
    code: Code
    name: Name
    credit_type: Code = DEFAULT_CREDIT_TYPE
    credits: Amount


def whole_limit(value: object) -> object:
    """``predictions = 100`` is short for a limit that blocks, ``"unlimited"`` for none."""
    if value == "unlimited":
        return {}
    return {"included": value} if isinstance(value, int) and not isinstance(value, bool) else value


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
    contact_url: str | None = Field(None, max_length=2000)
    offer: OfferPart | None = None
    limits: dict[Code, Annotated[LimitPart, BeforeValidator(whole_limit)]] = {}

    @field_validator("contact_url")
    @classmethod
    def check_contact_url(cls, value: str | None) -> str | None:
        """Where to ask: a page or an address, nothing that runs."""
        if value is not None and not re.fullmatch(r"(https://|mailto:)[^\s<>\"]+", value):
            raise ValueError("must begin with https:// or mailto:")
        return value

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


class OveragePart(Part):
    """What a whole credit bought now and paid later sells for, and what it costs an agency."""

    credit_type: Code
    price_cents: int = Field(ge=0, le=10**9)
    cost_cents: int | None = Field(None, ge=0, le=10**9)


class CatalogFile(Part):
    """A whole file."""

    catalog: CatalogPart
    credit_types: list[CreditTypePart] = []
    meters: list[MeterPart] = []
    plans: list[PlanPart] = []
    packages: list[PackagePart] = []
    actions: list[ActionPart] = []
    overage: list[OveragePart] = []


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
    problems = [*_repeated_codes(file), *_plan_problems(file), *_meter_problems(file)]
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
    for name in ("credit_types", "meters", "plans", "packages", "actions"):
        seen: set[str] = set()
        for position, part in enumerate(getattr(file, name)):
            if part.code in seen:
                problems.append(FieldError(f"{name}[{position}].code", f"{part.code!r} is there twice"))
            seen.add(part.code)
    sold: set[str] = set()
    for position, part in enumerate(file.overage):
        if part.credit_type in sold:
            problems.append(
                FieldError(f"overage[{position}].credit_type", f"{part.credit_type!r} is there twice")
            )
        sold.add(part.credit_type)
    return problems


def _meter_problems(file: CatalogFile) -> list[FieldError]:
    problems = []
    kinds = {meter.code: meter.kind for meter in file.meters}
    for position, meter in enumerate(file.meters):
        place = f"meters[{position}]"
        if meter.ratio_of is not None and kinds.get(meter.ratio_of) != meter.kind:
            problems.append(FieldError(f"{place}.ratio_of", "must be another meter of the same kind"))
        if meter.ratio_of == meter.code:
            problems.append(FieldError(f"{place}.ratio_of", "must be another meter"))
        if (meter.ratio_of is None) != (meter.ratio_name is None):
            problems.append(FieldError(f"{place}.ratio_name", "goes with ratio_of"))
    for position, plan in enumerate(file.plans):
        for code, limit in plan.limits.items():
            place = f"plans[{position}].limits.{code}"
            if code not in kinds:
                problems.append(FieldError(place, f"there is no meter {code!r}"))
            if (limit.over == "credits") != (limit.credits_per_unit is not None):
                problems.append(FieldError(f"{place}.credits_per_unit", 'goes with over = "credits"'))
            if limit.included is None and limit.over == "credits":
                problems.append(
                    FieldError(f"{place}.included", "is required: beyond what are credits taken?")
                )
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
        if plan.offer is not None and not plan.monthly_price_cents:
            problems.append(FieldError(f"{place}.offer", "needs a monthly price"))
        if plan.contact_url is not None and not plan.contact:
            problems.append(FieldError(f"{place}.contact_url", "goes with contact = true"))
        if plan.contact != (plan.monthly_price_cents is None and plan.annual_price_cents is None):
            problems.append(
                FieldError(f"{place}.contact", "must be true where, and only where, no price is given")
            )
    return problems

"""Form parameters as Stripe takes them: nested names, and a check of every name and type.

``decode`` turns ``line_items[0][price]=…`` into nested dicts and lists; a ``Shape`` refuses what it does not
know, what is missing and what has the wrong type, with the error that Stripe gives.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from sandbox.problems import invalid

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*")
MOST_LEVELS = 8
MOST_TEXT = 5000
Check = Callable[[Any, str], Any]
# The currencies that Stripe takes, less a few that no one sells credits in.
CURRENCIES = (
    "aed all amd ars aud bdt bgn bhd bob brl cad chf clp cny cop crc czk dkk dop egp etb eur gbp gel ghs gip "
    "gtq hkd hnl huf idr ils inr isk jmd jod jpy kes khr krw kwd kzt lak lkr mad mdl mkd mmk mnt mop mur mxn "
    "myr ngn nio nok npr nzd omr pab pen php pkr pln pyg qar ron rsd rub rwf sar sek sgd thb tnd try ttd twd "
    "tzs uah ugx usd uyu uzs vnd xaf xof zar zmw"
)


def decode(text: str) -> dict[str, Any]:
    """Nested parameters of a query string or a form body."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        matched = _NAME.fullmatch(name)
        if matched is None:
            raise invalid(f"Invalid parameter name: {name}", name)
        keys = [matched[1], *re.findall(r"\[([^\[\]]*)\]", matched[2])]
        if len(keys) > MOST_LEVELS:
            raise invalid(f"Invalid nesting: {name}", name)
        node = tree
        for key in keys[:-1]:
            key = key or str(len(node))
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise invalid(f"Invalid nesting: {name}", name)
        node[keys[-1] or str(len(node))] = value
    return {key: _listed(value) for key, value in tree.items()}


def _listed(node: Any) -> Any:
    """Dicts whose keys are 0, 1, 2 … become lists."""
    if not isinstance(node, dict):
        return node
    children = {key: _listed(value) for key, value in node.items()}
    if children and set(children) == {str(index) for index in range(len(children))}:
        return [children[str(index)] for index in range(len(children))]
    return children


def string(value: Any, name: str) -> str:
    """Text of at most 5,000 characters."""
    if not isinstance(value, str):
        raise invalid(f"Invalid string: {name}", name)
    if len(value) > MOST_TEXT:
        raise invalid(f"Invalid string: {name}; must be at most 5000 characters", name)
    return value


def identifier(value: Any, name: str) -> str:
    """The id of something, or another text that must not be empty."""
    text = string(value, name)
    if not text:
        raise invalid(
            f"You passed an empty string for '{name}'. Leave '{name}' out or give it a value.", name,
            "parameter_invalid_empty",
        )  # fmt: skip
    return text


def email(value: Any, name: str) -> str:
    """An e-mail address; empty unsets it."""
    text = string(value, name)
    if text and not _EMAIL.fullmatch(text):
        raise invalid(f"Invalid email address: {text}", name, "email_invalid")
    return text


def decimal(value: Any, name: str) -> str:
    """A decimal number of at most 12 places, not below 0."""
    text = string(value, name)
    if not re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text):
        raise invalid(f"Invalid decimal: {text}", name)
    return text


def integer(value: Any, name: str) -> int:
    """A whole number."""
    if not isinstance(value, str) or not re.fullmatch(r"-?\d{1,15}", value):
        raise invalid(f"Invalid integer: {value}", name, "parameter_invalid_integer")
    return int(value)


def number(value: Any, name: str) -> str:
    """A number, perhaps with decimals; kept as text."""
    return decimal(value, name)


def positive(value: Any, name: str) -> int:
    """A whole number of at least 1."""
    number = integer(value, name)
    if number < 1:
        raise invalid("This value must be greater than or equal to 1.", name, "parameter_invalid_integer")
    return number


def not_negative(value: Any, name: str) -> int:
    """A whole number of at least 0."""
    number = integer(value, name)
    if number < 0:
        raise invalid("This value must be greater than or equal to 0.", name, "parameter_invalid_integer")
    return number


def boolean(value: Any, name: str) -> bool:
    """``true`` or ``false``."""
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", name)
    return value == "true"


def address(value: Any, name: str) -> str:
    """An http(s) address."""
    text = string(value, name)
    if not re.match(r"https?://[^\s/]+", text):
        raise invalid("Not a valid URL", name, "url_invalid")
    return text


def currency(value: Any, name: str) -> str:
    """A three-letter code; kept in lower case."""
    text = string(value, name).lower()
    if text not in CURRENCIES.split():
        raise invalid(f"Invalid currency: {text}. Stripe does not support it.", name)
    return text


def metadata(value: Any, name: str) -> dict[str, str]:
    """At most 50 keys of 40 characters with values of 500; an empty value unsets the key."""
    if value == "":
        return {}
    if isinstance(value, list):  # the keys were 0, 1, 2 …
        value = {str(index): text for index, text in enumerate(value)}
    if not isinstance(value, dict):
        raise invalid("Invalid object", name)
    if len(value) > 50:
        raise invalid("Metadata can have at most 50 keys.", name)
    for key, text in value.items():
        if len(key) > 40 or not isinstance(text, str) or len(text) > 500:
            raise invalid(f"Metadata values can have up to 500 characters: {key}", f"{name}[{key}]")
    return value


class OneOf:
    """One of some words."""

    def __init__(self, allowed: tuple[str, ...]):
        self.allowed = allowed

    def __call__(self, value: Any, name: str) -> str:
        """Check. Raises StripeProblem."""
        if value not in self.allowed:
            raise invalid(f"Invalid {name}: must be one of {', '.join(filter(None, self.allowed))}", name)
        return value


def one_of(*allowed: str) -> OneOf:
    """One of some words; ``""`` among them: it can be unset."""
    return OneOf(allowed)


class ListOf:
    """A list, each item checked."""

    def __init__(self, item: Check):
        self.item = item

    def __call__(self, value: Any, name: str) -> list[Any]:
        """Check and convert. Raises StripeProblem."""
        if value == "":
            return []
        if isinstance(value, dict) and all(key.isdigit() for key in value):
            value = [value[key] for key in sorted(value, key=int)]
        if not isinstance(value, list):
            raise invalid("Invalid array", name)
        return [self.item(part, f"{name}[{index}]") for index, part in enumerate(value)]


def list_of(item: Check) -> ListOf:
    """A list, each item checked."""
    return ListOf(item)


class Shape:
    """An object with known fields; ``required`` ones must be there."""

    def __init__(self, required: tuple[str, ...] = (), /, **fields: Check):
        self.fields = fields
        self.required = required

    def __call__(self, value: Any, name: str = "") -> dict[str, Any]:
        """Check and convert. Raises StripeProblem."""
        if value == "" and name:
            return {}
        if not isinstance(value, dict):
            raise invalid("Invalid object", name)
        for key in value:
            if key not in self.fields:
                path = f"{name}[{key}]" if name else key
                raise invalid(f"Received unknown parameter: {path}", path, "parameter_unknown")
        for key in self.required:
            if value.get(key) in (None, ""):
                path = f"{name}[{key}]" if name else key
                raise invalid(f"Missing required param: {path}.", path, "parameter_missing")
        return {key: self.fields[key](part, f"{name}[{key}]" if name else key) for key, part in value.items()}


EXPAND = list_of(string)
CREATED = Shape(gt=integer, gte=integer, lt=integer, lte=integer)


def created_filter(value: Any, name: str) -> dict[str, int]:
    """An exact instant, or bounds."""
    if isinstance(value, str):
        at = integer(value, name)
        return {"gte": at, "lte": at}
    return CREATED(value, name)


def page_limit(value: Any, name: str) -> int:
    """How many on a page: 1 to 100."""
    number = integer(value, name)
    if not 1 <= number <= 100:
        raise invalid("This value must be between 1 and 100.", name, "parameter_invalid_integer")
    return number


def list_shape(**filters: Check) -> Shape:
    """The parameters of a list call that can be narrowed by time."""
    return page_shape(created=created_filter, **filters)


def page_shape(**filters: Check) -> Shape:
    """The parameters of a list call."""
    return Shape(
        limit=page_limit, starting_after=identifier, ending_before=identifier, expand=EXPAND, **filters,
    )  # fmt: skip

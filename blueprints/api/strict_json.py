"""Strict JSON: what a body must be before anything looks at it.

Refused: two members of one name, more than 20 levels, NaN and Infinity, text that is no Unicode (lone
surrogates) or holds NUL. Numbers with a fraction or exponent become ``Decimal``, never ``float``.
Source: docs/api.md, bodies.
"""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from errors import FieldError, InvalidRequest, MalformedJson

MOST_LEVELS = 20
LONGEST_NUMBER = 60


class _NoNumber(ValueError):
    """A number was written that is none, or is out of any range."""


_NO_NUMBER = _NoNumber()


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises MalformedJson, InvalidRequest naming the member."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedJson("The body is not UTF-8.") from None
    try:
        value = _decoded(text)
    except json.JSONDecodeError as error:
        raise MalformedJson(f"Line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(value, dict):
        raise MalformedJson("The body must be a JSON object.")
    if text.count("{") + text.count("[") > MOST_LEVELS and _levels(value) > MOST_LEVELS:
        raise _too_deep()
    if "\\u" in text:
        refuse_unfit(value)
    return value


def _decoded(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except _NoNumber:
        value = _MARKING_DECODER.decode(text)
        if isinstance(value, dict):
            refuse_unfit(value)
        raise MalformedJson("The body must be a JSON object.") from None


def refuse_unfit(value: dict[str, Any]) -> None:
    """Raises InvalidRequest naming each member that no field could take."""
    refused = []
    for path, found in _leaves(value, ""):
        if found is _NO_NUMBER:
            refused.append(FieldError(path, "must be a finite number of a sensible length"))
        elif isinstance(found, str) and (problem := text_problem(found)):
            refused.append(FieldError(path, problem))
    if refused:
        raise InvalidRequest(*refused[:20])


def text_problem(text: str) -> str | None:
    """Why text cannot be kept, or None where it can."""
    if "\x00" in text:
        return "must not contain the character NUL"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must be Unicode text without lone surrogates"
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedJson("The body names a member twice.")
    return members


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise _NO_NUMBER
    return int(text)


def _fraction(text: str) -> Decimal:
    if len(text) > LONGEST_NUMBER:
        raise _NO_NUMBER
    try:
        return Decimal(text)
    except InvalidOperation:
        raise _NO_NUMBER from None


def _refuse(_name: str) -> Any:
    raise _NO_NUMBER


def _marking(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """The same, but it leaves a mark where it would refuse: to find out which member it was."""

    def parse_or_mark(text: str) -> Any:
        try:
            return parse(text)
        except _NoNumber:
            return _NO_NUMBER

    return parse_or_mark


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_whole, parse_float=_fraction, parse_constant=_refuse
)
_MARKING_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_int=_marking(_whole),
    parse_float=_marking(_fraction),
    parse_constant=_marking(_refuse),
)


def _too_deep() -> MalformedJson:
    return MalformedJson(f"The body nests deeper than {MOST_LEVELS} levels.")


def _levels(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
    return deepest


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value that holds no others, with its path; names of members too."""
    if isinstance(value, dict):
        for name, child in value.items():
            shown = name.encode("ascii", "backslashreplace").decode().replace("\x00", "\\0")[:60]
            inner = f"{path}.{shown}" if path else shown
            yield inner, name
            yield from _leaves(child, inner)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _leaves(child, f"{path}.{index}")
    else:
        yield path, value

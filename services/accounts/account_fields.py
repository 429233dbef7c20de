"""What each field of an account may hold: a check gives the stored form, or raises ValueError saying why."""

import functools
import re
import unicodedata
import zoneinfo
from collections.abc import Callable
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.numbers import is_currency
from email_validator import EmailNotValidError, validate_email

from models.accounts import ACCOUNT_KINDS

# Words that stand where a slug does in the console's addresses.
RESERVED_SLUGS = frozenset(["new"])
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?")
# An operator's word; "parked" is the proof's alone.
SETTABLE_STATUSES = ("active", "past_due", "frozen")


def plain_text(value: Any, longest: int) -> str:
    """Text on one line, without control characters, not blank."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    trimmed = value.strip()
    if not trimmed:
        raise ValueError("must not be empty")
    if len(trimmed) > longest:
        raise ValueError(f"must have at most {longest} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in trimmed):
        raise ValueError("must not contain control characters")
    return trimmed


def check_slug(value: Any) -> str:
    """Lower case letters, digits, - and _."""
    slug = plain_text(value, 80)
    if not _SLUG.fullmatch(slug):
        raise ValueError("may have lower case letters, digits, - and _ between letters or digits")
    if slug in RESERVED_SLUGS:
        raise ValueError("is a reserved word")
    return slug


def check_email(value: Any) -> str:
    """An address by its form; no look-up is made."""
    address = plain_text(value, 320)
    try:
        found = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise ValueError("must be an e-mail address") from None
    return found.normalized.lower()


def check_time_zone(value: Any) -> str:
    """An IANA name."""
    if not isinstance(value, str) or value not in _time_zones():
        raise ValueError("must be an IANA time zone such as Europe/Zurich")
    return value


def check_locale(value: Any) -> str:
    """A locale that dates and numbers can be written in; en-US and en_US are the same."""
    try:
        return str(Locale.parse(plain_text(value, 16).replace("-", "_")))
    except (UnknownLocaleError, ValueError, TypeError):
        raise ValueError("must be a locale such as en_US") from None


def check_currency(value: Any) -> str:
    """ISO 4217, kept in lower case."""
    if not isinstance(value, str) or len(value) != 3 or not is_currency(value.upper()):
        raise ValueError("must be an ISO 4217 currency such as usd")
    return value.lower()


def _one_of(*allowed: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return value

    return check


@functools.cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


CHECKS: dict[str, Callable[[Any], str]] = {
    "name": lambda value: plain_text(value, 200),
    "slug": check_slug,
    "external_id": lambda value: plain_text(value, 255),
    "email": check_email,
    "kind": _one_of(*ACCOUNT_KINDS),
    "currency": check_currency,
    "time_zone": check_time_zone,
    "locale": check_locale,
    "status": _one_of(*SETTABLE_STATUSES),
}

"""In which language and time zone a page speaks: the account's, else the browser's language and UTC."""

from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from flask import g, has_request_context, request
from flask_babel import get_locale

DEFAULT_LOCALE = "en_US"
SPOKEN = ("en_US", "en_GB", "en")


def locale_of_request() -> str:
    """The locale that numbers, dates and money are written in."""
    if not has_request_context():
        return DEFAULT_LOCALE
    account = g.get("account")
    if account is None:
        return request.accept_languages.best_match(SPOKEN, DEFAULT_LOCALE) or DEFAULT_LOCALE
    try:
        return str(Locale.parse(account.locale.replace("-", "_")))
    except (UnknownLocaleError, ValueError):
        return DEFAULT_LOCALE


def time_zone_of_request() -> str:
    """The time zone that moments are shown in."""
    account = g.get("account") if has_request_context() else None
    if account is None:
        return "UTC"
    try:
        return ZoneInfo(account.time_zone).key
    except (KeyError, ValueError, OSError):
        return "UTC"


def html_lang() -> str:
    """The language of the words on the page: what is translated, not how numbers are written."""
    locale = get_locale()
    return "en" if locale is None or locale.language != "en" else str(locale).replace("_", "-")

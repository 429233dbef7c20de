"""The only formatting there is: amounts, money and moments, in the account's locale and time zone."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import flask_babel
from babel.numbers import format_currency, format_decimal, get_currency_symbol, parse_pattern
from flask import Flask
from flask_babel import get_locale

from services.clock import business_now, wall_now
from services.money import currency_digits, from_units


class CreditTypeLike(Protocol):
    """What is counted: a credit type, a position, or anything else that has these."""

    scale: int
    is_money: bool
    currency: str | None


def register(app: Flask) -> None:
    """Give templates the filters for amounts and times."""
    app.jinja_env.filters.update(
        credits=format_credits,
        money=format_money,
        date=format_date,
        datetime=format_moment,
        relative_date=format_relative,
        ago=format_ago,
        span=format_span,
    )


def format_credits(units: int, credit_type: CreditTypeLike | int = 0) -> str:
    """An amount of a credit type, from its smallest unit: ``1,240``, ``2.5``, or money such as ``$52.88``.

    ``credit_type`` may be the scale alone.
    """
    if isinstance(credit_type, int):
        return _decimal(from_units(units, credit_type), credit_type)
    amount = from_units(units, credit_type.scale)
    if credit_type.is_money and credit_type.currency:
        digits = currency_digits(credit_type.currency)
        return _currency(amount, credit_type.currency, digits, max(digits, credit_type.scale))
    return _decimal(amount, credit_type.scale)


def format_money(minor_units: int, currency: str) -> str:
    """Money from the currency's minor unit: ``$9.00``, ``¥900``."""
    digits = currency_digits(currency)
    return _currency(from_units(minor_units, digits), currency, digits, digits)


def format_date(moment: datetime) -> str:
    """The day of a moment: ``Nov 20, 2026``."""
    return flask_babel.format_date(moment, "medium")


def format_moment(moment: datetime) -> str:
    """A moment to the minute, with its zone: ``Nov 20, 2026, 3:04 PM UTC``."""
    day, hour = flask_babel.format_date(moment, "medium"), flask_babel.format_time(moment, "short")
    return f"{day}, {hour} {flask_babel.format_datetime(moment, 'zzz')}"


def format_relative(moment: datetime) -> str:
    """How long ago, or in how long: ``in 3 days``."""
    return flask_babel.format_timedelta(moment - business_now(), add_direction=True, threshold=0.95)


def format_ago(moment: datetime) -> str:
    """How long ago by the wall's clock, of what was done by people and programs."""
    return flask_babel.format_timedelta(moment - wall_now(), add_direction=True, threshold=0.95)


def format_span(span: timedelta) -> str:
    """A length of time in days and hours: ``95 days and 3 hours``."""
    hours = round(span.total_seconds() / 3600)
    days, rest = divmod(hours, 24)
    in_days = flask_babel.ngettext("%(num)s day", "%(num)s days", days)
    in_hours = flask_babel.ngettext("%(num)s hour", "%(num)s hours", rest)
    if days and rest:
        return flask_babel.gettext("%(days)s and %(hours)s", days=in_days, hours=in_hours)
    return in_days if days else in_hours


def _decimal(amount: Decimal, scale: int) -> str:
    pattern = "#,##0" + ("." + "#" * scale if scale else "")
    return format_decimal(amount, format=pattern, locale=get_locale(), decimal_quantization=False)


def _currency(amount: Decimal, currency: str, at_least: int, at_most: int) -> str:
    locale: Any = get_locale()
    code = currency.upper()
    standard = str(locale.currency_formats["standard"].pattern)
    if get_currency_symbol(code, locale)[-1].isalpha():
        standard = standard.replace("¤#", "¤\xa0#")  # a code such as KWD is set off from the digits
    pattern = parse_pattern(standard)
    pattern.frac_prec = (at_least, at_most)
    return format_currency(
        amount, code, format=pattern, locale=locale, currency_digits=False, decimal_quantization=False
    )

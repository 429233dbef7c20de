"""How amounts, money and moments are written."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import flask_babel
import pytest
from flask import Flask, g

from blueprints import filters
from services.clock import business_now

WHOLE = SimpleNamespace(scale=0, is_money=False, currency=None)
FINE = SimpleNamespace(scale=4, is_money=False, currency=None)
DOLLARS = SimpleNamespace(scale=4, is_money=True, currency="usd")
YEN = SimpleNamespace(scale=0, is_money=True, currency="jpy")


@contextmanager
def account(app: Flask, locale: str = "en_US", time_zone: str = "UTC") -> Iterator[None]:
    with app.test_request_context("/"):
        g.account = SimpleNamespace(locale=locale, time_zone=time_zone)
        flask_babel.refresh()
        yield
        del g.account
        flask_babel.refresh()


@pytest.mark.parametrize(
    ("units", "credit_type", "locale", "text"),
    [
        (1240, WHOLE, "en_US", "1,240"),
        (1240, WHOLE, "de_DE", "1.240"),
        (-5, WHOLE, "en_US", "-5"),
        (25000, FINE, "en_US", "2.5"),
        (10**15, FINE, "en_US", "100,000,000,000"),
        (1, FINE, "en_US", "0.0001"),
        (528800, DOLLARS, "en_US", "$52.88"),
        (79, DOLLARS, "en_US", "$0.0079"),
        (500000, DOLLARS, "en_US", "$50.00"),
        (528800, DOLLARS, "de_DE", "52,88\xa0$"),
        (900, YEN, "en_US", "¥900"),
        (12345, 2, "en_US", "123.45"),
    ],
)
def test_credits(app: Flask, units: int, credit_type: object, locale: str, text: str) -> None:
    with account(app, locale):
        assert filters.format_credits(units, credit_type) == text


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(900, "usd", "$9.00"), (900, "jpy", "¥900"), (1234, "kwd", "KWD\xa01.234"), (0, "eur", "€0.00")],
)
def test_money(app: Flask, minor: int, currency: str, text: str) -> None:
    with account(app):
        assert filters.format_money(minor, currency) == text


def test_moments_are_in_the_accounts_time_zone(app: Flask) -> None:
    moment = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    with account(app, time_zone="Asia/Tokyo"):
        assert filters.format_date(moment) == "Nov 21, 2026"
        assert filters.format_moment(moment).replace("\u202f", " ") == "Nov 21, 2026, 8:30 AM +0900"
    with account(app, "de_DE", "Europe/Berlin"):
        assert filters.format_date(moment) == "21.11.2026"


@pytest.mark.parametrize(
    ("locale", "zone"), [("xx_YY", "Mars/Base"), ("", ""), ("../etc", "../../etc/passwd")]
)
def test_an_unknown_locale_or_zone_falls_back(app: Flask, locale: str, zone: str) -> None:
    with account(app, locale, zone):
        assert filters.format_credits(1240, WHOLE) == "1,240"
        assert filters.format_date(datetime(2026, 11, 20, tzinfo=UTC)) == "Nov 20, 2026"


def test_relative_dates(app: Flask) -> None:
    with account(app):
        assert filters.format_relative(business_now() + timedelta(days=3)) == "in 3 days"
        assert filters.format_relative(business_now() - timedelta(hours=2)) == "2 hours ago"

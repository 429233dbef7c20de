"""The filters of the history: read from the query string, wrong ones named and left out."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import DateField, SearchField, SelectField
from wtforms.validators import Length, Optional

from models.ledger import TRANSACTION_TYPES
from services.ledger.history import HistoryQuery

TYPE_CHOICES = [
    ("transactions", _("All types")),
    ("purchases", _("Purchases and plan credits")),
    ("usage", _("Usage and its refunds")),
    *((name, name.capitalize()) for name in TRANSACTION_TYPES if name != "usage"),
]


class HistoryFilters(FlaskForm):
    """What to show of the journal. Dates are days of the account's time zone, both included."""

    class Meta:
        csrf = False

    type = SelectField(_("Type"), choices=TYPE_CHOICES, default="transactions")
    credit_type = SelectField(_("Credit type"), choices=[("", _("All credits"))], default="")
    since = DateField(_("From"), validators=[Optional()])
    until = DateField(_("To"), validators=[Optional()])
    text = SearchField(_("Search"), validators=[Length(max=100)], default="")

    def validate_until(self, field: DateField) -> None:
        """An end before the beginning shows nothing; say so instead."""
        if self.since.data and field.data and field.data < self.since.data:
            field.errors = [*field.errors, _("is before From")]

    def query(
        self, account_id: int, time_zone: str, cursor: int | None, newer_than: int | None
    ) -> HistoryQuery:
        """The query that the valid filters stand for."""
        zone = ZoneInfo(time_zone)
        usable = {field.name: field.data for field in self if not field.errors}
        return HistoryQuery(
            account_id=account_id,
            type=usable.get("type") or "transactions",
            credit_type=usable.get("credit_type") or None,
            since=_start_of(usable.get("since"), zone),
            until=_start_of(usable.get("until"), zone, days_later=1),
            text=(usable.get("text") or "").strip() or None,
            cursor=cursor,
            newer_than=newer_than,
        )


def _start_of(day: date | None, zone: ZoneInfo, days_later: int = 0) -> datetime | None:
    if day is None or not date(1971, 1, 1) <= day <= date(9990, 1, 1):
        return None
    return datetime.combine(day + timedelta(days=days_later), time.min, tzinfo=zone)

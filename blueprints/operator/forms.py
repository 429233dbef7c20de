"""The forms of the console. What each field may hold is decided by the services."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import (
    DateField,
    EmailField,
    HiddenField,
    IntegerField,
    SelectField,
    SelectMultipleField,
    StringField,
)
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Length, NumberRange, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from blueprints.forms import one_line, stripped
from services.accounts.api_keys import DEFAULT_SCOPES

SCOPES = [
    SelectChoice("read", _("Read: balances, history, checks and estimates")),
    SelectChoice("spend", _("Spend: deduct and hold credits")),
    SelectChoice("manage", _("Manage: accounts, purchases, grants, transfers")),
]


def choices_of(pairs: Iterable[tuple[str, str]]) -> list[SelectChoice]:
    """Values and their words as a select field takes them."""
    return [SelectChoice(value, words) for value, words in pairs]


CHOSEN = [DataRequired(_("Choose one."))]


class AccountForm(FlaskForm):
    """What an account is called and where it is."""

    name = StringField(_("Name"), [DataRequired(_("Enter a name."))], filters=[stripped])
    slug = StringField(
        _("Slug"), filters=[stripped], description=_("Its address: small letters, digits, - and _.")
    )
    external_id = StringField(
        _("External id"), filters=[stripped], description=_("What your own product calls it.")
    )
    email = EmailField(_("E-mail"), filters=[stripped], description=_("Where receipts go."))
    time_zone = StringField(
        _("Time zone"), [DataRequired(_("Enter a time zone."))], filters=[stripped], default="UTC",
        description=_("Such as Europe/Zurich."),
    )  # fmt: skip
    locale = StringField(
        _("Locale"), [DataRequired(_("Enter a locale."))], filters=[stripped], default="en_US",
        description=_("How numbers and dates are written, such as en_US."),
    )  # fmt: skip


class NewAccountForm(AccountForm):
    kind = SelectField(
        _("Kind"), CHOSEN, choices=[SelectChoice("client", _("Client")), SelectChoice("agency", _("Agency"))]
    )
    agency = StringField(
        _("Agency"), filters=[stripped], description=_("The slug of the agency that the client belongs to.")
    )
    catalogue = SelectField(_("Catalogue"))
    form_token = HiddenField()

    def offer_catalogues(self, codes_and_names: Iterable[tuple[str, str]]) -> None:
        """Let one of these be chosen, or none for the instance's default."""
        self.catalogue.choices = choices_of([("", _("The default")), *codes_and_names])


class SettingsForm(AccountForm):
    slug = StringField(
        _("Slug"), [DataRequired(_("Enter a slug."))], filters=[stripped],
        description=_("Its address; links with the old one stop working."),
    )  # fmt: skip


class PlanForm(FlaskForm):
    plan = SelectField(_("Plan"), CHOSEN)
    interval = SelectField(
        _("Billing period"),
        CHOSEN,
        choices=[SelectChoice("month", _("Monthly")), SelectChoice("year", _("Annually"))],
    )


class CorrectionForm(FlaskForm):
    kind = SelectField(
        _("What"),
        CHOSEN,
        choices=[
            SelectChoice("bonus", _("Bonus: a gift")),
            SelectChoice("up", _("Adjustment up: give what was missing")),
            SelectChoice("down", _("Adjustment down: take what was too much")),
        ],
    )
    credit_type = SelectField(_("Credit type"), CHOSEN)
    amount = StringField(_("Amount"), [DataRequired(_("Enter an amount."))], filters=[stripped])
    description = StringField(
        _("Description"),
        [DataRequired(_("Say why; the customer reads it in the history.")), Length(max=500), one_line],
        filters=[stripped],
        id="correction-description",
        description=_("The customer reads it in the history."),
    )
    expires_at = DateField(_("Last day to spend it"), [Optional()])
    form_token = HiddenField(id="correction-token")

    def expiry(self, time_zone: str) -> datetime | None:
        """The end of the last day, in the account's time zone; exclusive."""
        day = self.expires_at.data
        if day is None:
            return None
        return datetime.combine(day + timedelta(days=1), time.min, tzinfo=ZoneInfo(time_zone))

    def validate_expires_at(self, field: DateField) -> None:
        """Years that no clock reaches."""
        if field.data is not None and not 1971 <= field.data.year <= 9990:
            field.errors = [*field.errors, _("must be a date in the years to come")]
            field.data = None


class RefundForm(FlaskForm):
    amount = StringField(
        _("Amount"), [Length(max=20)], filters=[stripped], description=_("Left empty: all that is left.")
    )
    reason = StringField(_("Reason"), [Length(max=200), one_line], filters=[stripped])
    form_token = HiddenField()


class MintForm(FlaskForm):
    name = StringField(
        _("What it is for"), [DataRequired(_("Say what the key is for.")), Length(max=100), one_line],
        filters=[stripped], id="key-name",
    )  # fmt: skip
    scopes = SelectMultipleField(
        _("May"), [DataRequired(_("Choose at least one."))],
        choices=SCOPES, default=list(DEFAULT_SCOPES), id="key-scopes",
        widget=ListWidget(prefix_label=False), option_widget=CheckboxInput(),
    )  # fmt: skip
    form_token = HiddenField(id="key-token")


class TravelForm(FlaskForm):
    """How far the product's clock is moved: one of the buttons, or a number of hours or days."""

    amount = IntegerField(
        _("How far"), [Optional(), NumberRange(1, 9600, _("Enter a number from 1 to 9600."))]
    )
    unit = SelectField(
        _("Unit"), CHOSEN, choices=[SelectChoice("d", _("Days")), SelectChoice("h", _("Hours"))], default="d"
    )
    form_token = HiddenField()

    def span(self, chosen: str) -> str:
        """What is asked for, as the service takes it; ``chosen``: the value of the button that was pressed."""
        return chosen or f"{self.amount.data or ''}{self.unit.data}"

"""The form that mints a key which reads."""

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField
from wtforms.validators import DataRequired, Length

from blueprints.forms import one_line, stripped


class MintForm(FlaskForm):
    name = StringField(
        _("What it is for"), [DataRequired(_("Say what the key is for.")), Length(max=100), one_line],
        filters=[stripped], id="key-name",
        description=_("It reads balances and history; it cannot spend."),
    )  # fmt: skip
    form_token = HiddenField(id="key-token")

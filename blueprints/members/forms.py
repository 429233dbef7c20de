"""The form that invites somebody to an account."""

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import EmailField, SelectField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired

ROLES = [
    ("viewer", _("Viewer: sees everything, changes nothing")),
    ("member", _("Member: also buys credits")),
    ("owner", _("Owner: also decides who belongs to the account")),
]


class InviteForm(FlaskForm):
    email = EmailField(_("E-mail"), [InputRequired(_("Enter an e-mail address."))])
    role = SelectField(
        _("Role"),
        [InputRequired(_("Choose a role."))],
        choices=[SelectChoice(role, words) for role, words in ROLES],
        default="member",
    )

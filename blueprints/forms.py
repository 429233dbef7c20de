"""What forms share: an operation's refusal put beside the field that it names."""

import json
import unicodedata

from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import Field
from wtforms.validators import ValidationError

from errors import CofferError, InvalidRequest
from services.idempotency import Answer


def add_errors(form: FlaskForm, error: CofferError) -> None:
    """Show a refusal on a form: beside its fields where it names them, at the top otherwise."""
    if isinstance(error, InvalidRequest) and error.errors:
        for item in error.errors:
            _add(form, item.field, item.message)
    else:
        _add(form, error.members.get("field"), error.detail)


def add_refusal(form: FlaskForm, answer: Answer, field: str | None = None) -> None:
    """Show a refusal that was kept with the form's token, in the same way; ``field`` where it names none."""
    problem = json.loads(answer.body)
    _add(form, problem.get("field") or field, problem["detail"])


def one_line(_form: FlaskForm, field: Field) -> None:
    """Text without control characters, which no database keeps and no page shows."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in field.data or ""):
        raise ValidationError(_("must not contain control characters"))


def stripped(value: str | None) -> str | None:
    """Text without blanks around it; None where nothing is left."""
    return (value or "").strip() or None


def _add(form: FlaskForm, name: str | None, message: str) -> None:
    field = form._fields.get(name) if name else None
    if field is None:
        form.form_errors.append(_(message))
    else:
        field.errors = [*field.errors, _(message)]

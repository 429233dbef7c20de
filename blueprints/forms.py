"""What forms share: an operation's refusal put beside the field that it names."""

from flask_babel import gettext as _
from flask_wtf import FlaskForm

from errors import CofferError, InvalidRequest


def add_errors(form: FlaskForm, error: CofferError) -> None:
    """Show a refusal on a form: beside its fields where it names them, at the top otherwise."""
    named = error.errors if isinstance(error, InvalidRequest) else []
    for item in named:
        field = form._fields.get(item.field)
        if field is None:
            form.form_errors.append(_(item.message))
        else:
            field.errors = [*field.errors, _(item.message)]
    if not named:
        form.form_errors.append(_(error.detail))

"""Making an API key from a form: one form makes one key, and only its first answer shows it."""

from collections.abc import Iterable

from flask_wtf import FlaskForm

from blueprints.access import person
from blueprints.form_tokens import once_per_form
from blueprints.forms import add_errors
from errors import Conflict, IdempotencyKeyReused, InvalidRequest
from services.accounts.api_keys import MintedKey, mint

INSTANCE = 0


def mint_once(form: FlaskForm, account_id: int | None, scopes: Iterable[str]) -> MintedKey | None:
    """Mint a key for a valid form with ``name``; None where the form now says why there is none.

    The secret is not kept, so a form that is sent again cannot show it again.
    """
    made: list[MintedKey] = []

    def operation() -> tuple[int, dict[str, int]]:
        key = mint(account_id, person().actor, tuple(scopes), form.name.data)
        made.append(key)
        return 201, {"key_id": key.key_id}

    try:
        answer = once_per_form(INSTANCE if account_id is None else account_id, operation)
    except (InvalidRequest, IdempotencyKeyReused) as refusal:
        add_errors(form, refusal)
        return None
    if answer.replayed:
        add_errors(
            form,
            Conflict("This form was sent before. Its key was shown then; revoke that one if it is lost."),
        )
        return None
    return made[-1]

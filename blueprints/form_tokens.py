"""A random token in each form that begins something, so that one form begins it once."""

import secrets


def new_form_token() -> str:
    """144 random bits, safe in a form field."""
    return secrets.token_urlsafe(18)

"""Random tokens for forms and ids that leave the instance."""

import secrets


def random_token() -> str:
    """144 random bits, safe in an address."""
    return secrets.token_urlsafe(18)

"""Seeing an account as its people do: an operator takes a role in it, for looking alone."""

from flask import request, session
from flask_login import current_user

from errors import Forbidden

VIEWING = "viewing"
HARMLESS = ("GET", "HEAD", "OPTIONS")


def begin_viewing(slug: str, role: str) -> None:
    """From now on this browser sees the account as whoever has this role does; one account at a time."""
    session[VIEWING] = {"account": slug, "role": role}


def end_viewing() -> str | None:
    """See everything as an operator again. The slug of the account that was viewed, if one was."""
    return session.pop(VIEWING, {}).get("account")


def viewed_role(slug: str) -> str | None:
    """The role that the operator has taken in this account; None: none, or no operator."""
    viewing = session.get(VIEWING)
    if not viewing or viewing["account"] != slug or not getattr(current_user, "is_operator", False):
        return None
    return viewing["role"]


def refuse_changes(slug: str, role: str) -> None:
    """Viewing changes nothing. Raises Forbidden for a request that would."""
    if request.method not in HARMLESS:
        raise Forbidden(f"You are viewing {slug} as its {role} does; stop viewing before you change anything.")

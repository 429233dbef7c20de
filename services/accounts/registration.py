"""Signing oneself up, where the instance allows it: first the address is proved, then the account is made.

Asking for a link is answered alike for a known and an unknown address.
"""

from errors import InvalidRequest
from services import audit
from services.accounts import memberships, passwords, throttle, users
from services.accounts.accounts import NewAccount, create_account
from services.accounts.invitations import user_for_link
from services.accounts.tokens import IssuedToken, LinkNotValid, issue_token, open_token, use_token
from services.unit_of_work import atomic


def request_registration(email: str, address: str) -> IssuedToken | None:
    """A token to register with, or None where the address has a user; the same work is done for both.

    Raises InvalidRequest (no e-mail address), RateLimited.
    """
    normalised = users.normalised_email(email)
    throttle.count_attempt("register", address, normalised)
    return _issue(normalised)


@atomic
def _issue(email: str) -> IssuedToken | None:
    is_known = users.person_with_email(email) is not None
    issued = issue_token("invitation", email, is_dead=is_known)
    return None if is_known else issued


def check_registration(secret: str) -> str:
    """The address that a link registers. Raises NotFound."""
    row = open_token("invitation", secret)
    if row.account_id is not None:
        raise LinkNotValid()
    return row.email


def register(secret: str, *, name: str, password: str, account_name: str) -> int:
    """Make a person and an account that the person owns; returns the person's id.

    Raises NotFound, InvalidRequest naming the field.
    """
    email = check_registration(secret)
    person_name = users.checked_name(name, required=True)
    passwords.check_new_password(password, email)
    return _register(secret, person_name, passwords.hash_password(password), account_name.strip())


@atomic
def _register(secret: str, name: str, password_hash: str, account_name: str) -> int:
    email = use_token("invitation", secret).email
    user_id = user_for_link(email, name, password_hash)
    try:
        account, _is_new = create_account(NewAccount(name=account_name, email=email))
    except InvalidRequest as refusal:
        raise InvalidRequest.of("account_name", refusal.errors[0].message) from None
    memberships.add_member(user_id, account.id, "owner", actor=f"user:{user_id}")
    audit.record("account.registered", f"user:{user_id}", account.id)
    return user_id

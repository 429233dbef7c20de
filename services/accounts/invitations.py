"""One-time links that let people in: invitation, registration, first operator, password reset.

A link proves that its holder reads the mail of an address, and nothing else about who it is.
Source: docs/security.md, one-time links.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from errors import Conflict, InvalidRequest, NotFound
from extensions import db
from models.accounts import Account, OneTimeToken, User
from services import audit
from services.accounts import memberships, passwords, throttle, users
from services.accounts.tokens import IssuedToken, LinkNotValid, issue_token, open_token, use_token
from services.clock import wall_now
from services.unit_of_work import atomic


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an open invitation says. ``account_id`` None: it asks to register."""

    email: str
    account_id: int | None
    account_name: str
    role: str | None
    has_user: bool


@dataclass(frozen=True, slots=True)
class PendingInvitation:
    """An invitation that was not accepted yet."""

    id: int
    email: str
    role: str
    expires_at: datetime


@atomic
def invite(account_id: int, email: str, role: str, *, actor: str, created_by_id: int | None) -> IssuedToken:
    """Invite an address to an account; an earlier open invitation of it is replaced.

    Raises InvalidRequest naming the field.
    """
    address = users.normalised_email(email)
    memberships.checked_role(role)
    if memberships.is_member(address, account_id):
        raise InvalidRequest.of("email", "This person belongs to the account already.")
    db.session.execute(
        delete(OneTimeToken).where(
            OneTimeToken.purpose == "invitation",
            OneTimeToken.account_id == account_id,
            OneTimeToken.email == address,
            OneTimeToken.used_at.is_(None),
        )
    )
    issued = issue_token("invitation", address, account_id=account_id, role=role, created_by_id=created_by_id)
    audit.record("invitation.sent", actor, account_id, token_id=issued.id, role=role)
    return issued


def pending_invitations(account_id: int) -> list[PendingInvitation]:
    """The open invitations of an account, by address."""
    rows = db.session.scalars(
        select(OneTimeToken)
        .where(
            OneTimeToken.purpose == "invitation",
            OneTimeToken.account_id == account_id,
            OneTimeToken.used_at.is_(None),
            OneTimeToken.expires_at > wall_now(),
        )
        .order_by(OneTimeToken.email)
    )
    return [PendingInvitation(row.id, row.email, row.role or "", row.expires_at) for row in rows]


@atomic
def cancel_invitation(account_id: int, invitation_id: int, *, actor: str) -> None:
    """Withdraw an open invitation. Raises NotFound."""
    removed = db.session.execute(
        delete(OneTimeToken).where(
            OneTimeToken.id == invitation_id,
            OneTimeToken.purpose == "invitation",
            OneTimeToken.account_id == account_id,
            OneTimeToken.used_at.is_(None),
        )
    )
    if removed.rowcount != 1:
        raise NotFound("There is no such invitation.")
    audit.record("invitation.cancelled", actor, account_id, token_id=invitation_id)


def invitation_of(secret: str) -> Invitation:
    """What a link invites to. Raises NotFound."""
    row = open_token("invitation", secret)
    account = db.session.get(Account, row.account_id) if row.account_id else None
    person = users.person_with_email(row.email)
    if person is not None and person.disabled_at is not None:
        raise LinkNotValid()
    return Invitation(
        email=row.email,
        account_id=row.account_id,
        account_name=account.name if account else "",
        role=row.role,
        has_user=person is not None and person.has_password,
    )


def accept_invitation(secret: str, *, name: str = "", password: str | None = None) -> int:
    """Join the account of an invitation and return the person's id.

    Whoever has no password yet sets one, with a name; whoever has one keeps it and signs in as ever.
    Raises NotFound, InvalidRequest naming the field.
    """
    found = invitation_of(secret)
    if found.account_id is None:
        raise LinkNotValid()
    password_hash = None
    if not found.has_user:
        name = users.checked_name(name, required=True)
        passwords.check_new_password(password or "", found.email)
        password_hash = passwords.hash_password(password or "")
    return _join(secret, name, password_hash)


@atomic
def _join(secret: str, name: str, password_hash: str | None) -> int:
    row = use_token("invitation", secret)
    assert row.account_id is not None and row.role is not None
    user_id = user_for_link(row.email, name, password_hash)
    if not memberships.is_member(row.email, row.account_id):
        memberships.add_member(user_id, row.account_id, row.role, actor=f"user:{user_id}")
    return user_id


@atomic
def user_for_link(email: str, name: str, password_hash: str | None) -> int:
    """The person of a link that proves an address, made or given a first password where needed.

    Raises Conflict where the person set a password meanwhile, NotFound where the person is disabled.
    """
    user = db.session.scalar(select(User).where(User.email == email).with_for_update())
    if user is None:
        return users.insert_user(email, password_hash, name=name, actor=None)
    if user.disabled_at is not None:
        raise NotFound("There is no such user.")
    if password_hash is not None:
        if user.password_hash is not None:
            raise Conflict("This person has a password by now: open the link again.")
        user.name = name
        user.password_hash = password_hash
    return user.id


def request_password_reset(email: str, address: str) -> IssuedToken | None:
    """A token for a reset, or None where nobody can use one; the same work is done for both.

    Raises InvalidRequest (no e-mail address), RateLimited.
    """
    normalised = users.normalised_email(email)
    throttle.count_attempt("reset", address, normalised)
    return _issue_reset(normalised)


@atomic
def _issue_reset(email: str) -> IssuedToken | None:
    person = users.person_with_email(email)
    if person is None or person.disabled_at is not None:
        issue_token("password_reset", email, is_dead=True)
        return None
    return issue_token("password_reset", email, user_id=person.id)


def check_reset(secret: str) -> str:
    """The address whose password a link resets. Raises NotFound."""
    return open_token("password_reset", secret).email


def reset_password(secret: str, password: str) -> int:
    """Set a new password by a link; every session and every other link of the person ends.

    Returns the person's id. Raises NotFound, InvalidRequest naming ``password``.
    """
    passwords.check_new_password(password, check_reset(secret))
    return _reset(secret, passwords.hash_password(password))


@atomic
def _reset(secret: str, password_hash: str) -> int:
    row = use_token("password_reset", secret)
    assert row.user_id is not None
    users.store_password(
        row.user_id, password_hash, actor=f"user:{row.user_id}", action="user.password_reset"
    )
    db.session.execute(
        update(OneTimeToken)
        .where(
            OneTimeToken.purpose == "password_reset",
            OneTimeToken.user_id == row.user_id,
            OneTimeToken.used_at.is_(None),
        )
        .values(used_at=wall_now())
    )
    return row.user_id


def first_operator_token() -> IssuedToken | None:
    """A token that makes its holder the first operator; None where there are users already."""
    if not users.is_nobody_there():
        return None
    return _issue_first_operator()


@atomic
def _issue_first_operator() -> IssuedToken:
    db.session.execute(delete(OneTimeToken).where(OneTimeToken.purpose == "first_operator"))
    return issue_token("first_operator")


def check_first_operator(secret: str) -> None:
    """Raises NotFound where a link makes nobody an operator."""
    open_token("first_operator", secret)
    if not users.is_nobody_there():
        raise LinkNotValid()


def create_first_operator(secret: str, email: str, name: str, password: str) -> int:
    """Make the first user, an operator, and return its id. Raises NotFound, InvalidRequest."""
    check_first_operator(secret)
    address = users.normalised_email(email)
    person_name = users.checked_name(name, required=True)
    passwords.check_new_password(password, address)
    return _insert_first_operator(secret, address, person_name, passwords.hash_password(password))


@atomic
def _insert_first_operator(secret: str, email: str, name: str, password_hash: str) -> int:
    use_token("first_operator", secret)
    if not users.is_nobody_there():
        raise LinkNotValid()
    return users.insert_user(email, password_hash, name=name, is_operator=True, actor=None)

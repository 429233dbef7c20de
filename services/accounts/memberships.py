"""Who belongs to which account, and as what; an account never loses its last owner."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from errors import Conflict, InvalidRequest, NotFound
from extensions import db
from models.accounts import ROLES, Account, Membership, User
from services import audit
from services.accounts import passwords, sessions, users
from services.clock import wall_now
from services.unit_of_work import atomic


@dataclass(frozen=True, slots=True)
class Member:
    """A person in an account."""

    id: int
    user_id: int
    email: str
    name: str
    role: str
    joined_at: datetime
    is_disabled: bool


@dataclass(frozen=True, slots=True)
class Belonging:
    """An account that a person may open."""

    account_id: int
    slug: str
    name: str
    role: str


def checked_role(role: str, field: str = "role") -> str:
    """Raises InvalidRequest where there is no such role."""
    if role not in ROLES:
        raise InvalidRequest.of(field, f"must be one of {', '.join(ROLES)}")
    return role


def members_of(account_id: int) -> list[Member]:
    """The members of an account, by e-mail address."""
    rows = db.session.execute(
        select(Membership, User)
        .join(User, User.id == Membership.user_id)
        .where(Membership.account_id == account_id)
        .order_by(User.email)
    )
    return [
        Member(m.id, u.id, u.email, u.name, m.role, m.created_at, u.disabled_at is not None) for m, u in rows
    ]


def belongings_of(user_id: int) -> list[Belonging]:
    """The accounts of a person, by name."""
    rows = db.session.execute(
        select(Account.id, Account.slug, Account.name, Membership.role)
        .join(Membership, Membership.account_id == Account.id)
        .where(Membership.user_id == user_id)
        .order_by(Account.name, Account.id)
    )
    return [Belonging(*row) for row in rows]


@atomic
def add_member(user_id: int, account_id: int, role: str, *, actor: str) -> int:
    """Take a person into an account and return the membership's id. Raises Conflict, InvalidRequest."""
    checked_role(role)
    _lock_account(account_id)
    if _membership_of(user_id, account_id) is not None:
        raise Conflict("This person belongs to the account already.")
    row = Membership(user_id=user_id, account_id=account_id, role=role, created_at=wall_now())
    db.session.add(row)
    db.session.flush()
    audit.record("membership.added", actor, account_id, user_id=user_id, role=role)
    return row.id


def create_member(
    email: str,
    password: str,
    *,
    name: str = "",
    is_operator: bool = False,
    account_id: int | None = None,
    role: str = "owner",
    actor: str,
) -> int:
    """Create a person with a password, in an account where one is given; returns the person's id.

    Raises InvalidRequest naming the field, Conflict where the address is taken, NotFound (account).
    """
    address = users.normalised_email(email)
    person_name = users.checked_name(name)
    checked_role(role)
    passwords.check_new_password(password, address)
    password_hash = passwords.hash_password(password)
    return _insert_member(address, person_name, password_hash, is_operator, account_id, role, actor)


@atomic
def _insert_member(
    email: str,
    name: str,
    password_hash: str,
    is_operator: bool,
    account_id: int | None,
    role: str,
    actor: str,
) -> int:
    user_id = users.insert_user(email, password_hash, name=name, is_operator=is_operator, actor=actor)
    if account_id is not None:
        add_member(user_id, account_id, role, actor=actor)
    return user_id


@atomic
def change_role(account_id: int, membership_id: int, role: str, *, actor: str) -> None:
    """Give a member another role; the person's sessions end. Idempotent.

    Raises NotFound, InvalidRequest, Conflict where the last owner would be gone.
    """
    checked_role(role)
    row = _locked_membership(account_id, membership_id)
    if row.role == role:
        return
    _keep_an_owner(row)
    before, row.role = row.role, role
    sessions.revoke_sessions(row.user_id)
    audit.record("membership.role_changed", actor, account_id, user_id=row.user_id, before=before, after=role)


@atomic
def remove_member(account_id: int, membership_id: int, *, actor: str) -> None:
    """Take a member out; the person's sessions end. Raises NotFound, Conflict for the last owner."""
    row = _locked_membership(account_id, membership_id)
    _keep_an_owner(row)
    db.session.delete(row)
    sessions.revoke_sessions(row.user_id)
    audit.record("membership.removed", actor, account_id, user_id=row.user_id, role=row.role)


def is_member(email: str, account_id: int) -> bool:
    """Whether somebody with this address belongs to an account."""
    found = db.session.scalar(
        select(Membership.id)
        .join(User, User.id == Membership.user_id)
        .where(User.email == email, Membership.account_id == account_id)
    )
    return found is not None


def _membership_of(user_id: int, account_id: int) -> Membership | None:
    return db.session.scalar(
        select(Membership).where(Membership.user_id == user_id, Membership.account_id == account_id)
    )


def _lock_account(account_id: int) -> None:
    """One change of an account's members at a time, so that two owners cannot remove each other."""
    found = db.session.scalar(select(Account.id).where(Account.id == account_id).with_for_update())
    if found is None:
        raise NotFound("There is no such account.")


def _locked_membership(account_id: int, membership_id: int) -> Membership:
    _lock_account(account_id)
    row = db.session.scalar(
        select(Membership)
        .where(Membership.id == membership_id, Membership.account_id == account_id)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise NotFound("There is no such member.")
    return row


def _keep_an_owner(row: Membership) -> None:
    if row.role != "owner":
        return
    another = db.session.scalar(
        select(Membership.id)
        .join(User, User.id == Membership.user_id)
        .where(
            Membership.account_id == row.account_id,
            Membership.role == "owner",
            Membership.id != row.id,
            User.disabled_at.is_(None),
        )
        .limit(1)
    )
    if another is None:
        raise Conflict("An account needs an owner: make someone else an owner first.")

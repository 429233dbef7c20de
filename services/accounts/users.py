"""People who sign in: create, find, list, set a password, disable."""

from dataclasses import dataclass
from datetime import datetime

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from errors import Conflict, InvalidRequest, NotFound
from extensions import db
from models.accounts import User
from services import audit
from services.accounts import sessions
from services.clock import wall_now
from services.unit_of_work import atomic

MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Person:
    """A user as others see one; never the password's hash."""

    id: int
    email: str
    name: str
    is_operator: bool
    has_password: bool
    created_at: datetime
    last_login_at: datetime | None
    disabled_at: datetime | None


def normalised_email(value: str, field: str = "email") -> str:
    """An e-mail address in the one form that is kept. Raises InvalidRequest naming the field."""
    text = value.strip()
    if len(text) > 320:
        raise InvalidRequest.of(field, "This e-mail address is too long.")
    try:
        parts = validate_email(
            text, check_deliverability=False, globally_deliverable=False, allow_display_name=False
        )
    except EmailNotValidError:
        raise InvalidRequest.of(field, "Enter an e-mail address such as name@example.com.") from None
    return parts.normalized.lower()


def checked_name(value: str, field: str = "name", *, required: bool = False) -> str:
    """A person's name on one line. Raises InvalidRequest naming the field."""
    name = " ".join(value.split())
    if required and not name:
        raise InvalidRequest.of(field, "Enter your name.")
    if len(name) > MAX_NAME_CHARACTERS:
        raise InvalidRequest.of(field, f"Use at most {MAX_NAME_CHARACTERS} characters.")
    if not name.isprintable():
        raise InvalidRequest.of(field, "The name contains characters that cannot be shown.")
    return name


@atomic
def insert_user(
    email: str, password_hash: str | None, *, name: str = "", is_operator: bool = False, actor: str | None
) -> int:
    """Insert a person whose values were checked; ``actor`` None: the person. Raises Conflict."""
    if db.session.scalar(select(User.id).where(User.email == email)) is not None:
        raise Conflict(f"There is a user with the e-mail address {email} already.")
    user = User(
        email=email, name=name, password_hash=password_hash, is_operator=is_operator, created_at=wall_now()
    )
    db.session.add(user)
    try:
        db.session.flush()
    except IntegrityError:
        raise Conflict(f"There is a user with the e-mail address {email} already.") from None
    audit.record("user.created", actor or f"user:{user.id}", user_id=user.id, is_operator=is_operator)
    return user.id


def person_of(user_id: int) -> Person:
    """One person. Raises NotFound."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return _person(user)


def person_with_email(email: str) -> Person | None:
    """The person with an address, in whatever case it is written, or None."""
    user = db.session.scalar(select(User).where(User.email == email.strip().lower()))
    return _person(user) if user else None


def people() -> list[Person]:
    """Everybody, by e-mail address."""
    return [_person(user) for user in db.session.scalars(select(User).order_by(User.email))]


def is_nobody_there() -> bool:
    """Whether the instance has no user at all."""
    return db.session.scalar(select(func.count()).select_from(User)) == 0


@atomic
def rename_user(user_id: int, name: str, *, actor: str) -> None:
    """Change a person's name. Raises InvalidRequest, NotFound."""
    _locked(user_id).name = checked_name(name, required=True)
    audit.record("user.renamed", actor, user_id=user_id)


@atomic
def store_password(user_id: int, password_hash: str, *, actor: str, action: str) -> None:
    """Replace the hash of a password and end every session of the person. Raises NotFound."""
    user = _locked(user_id)
    if user.disabled_at is not None:
        raise NotFound("There is no such user.")
    user.password_hash = password_hash
    sessions.revoke_sessions(user_id)
    audit.record(action, actor, user_id=user_id)


@atomic
def disable_user(user_id: int, *, actor: str) -> None:
    """Shut a person out; every session ends. Idempotent. Raises NotFound, Conflict (the last operator)."""
    user = _locked(user_id)
    if user.disabled_at is not None:
        return
    if user.is_operator and not _other_operators(user_id):
        raise Conflict("This is the last operator; name another one first.")
    user.disabled_at = wall_now()
    sessions.revoke_sessions(user_id)
    audit.record("user.disabled", actor, user_id=user_id)


@atomic
def set_operator(user_id: int, is_operator: bool, *, actor: str) -> None:
    """Make a person an operator or take it back; every session ends. Raises NotFound, Conflict."""
    user = _locked(user_id)
    if user.is_operator == is_operator:
        return
    if not is_operator and not _other_operators(user_id):
        raise Conflict("This is the last operator; name another one first.")
    user.is_operator = is_operator
    sessions.revoke_sessions(user_id)
    audit.record("user.operator_changed", actor, user_id=user_id, is_operator=is_operator)


def _locked(user_id: int) -> User:
    user = db.session.scalar(
        select(User).where(User.id == user_id).with_for_update().execution_options(populate_existing=True)
    )
    if user is None:
        raise NotFound("There is no such user.")
    return user


def _other_operators(user_id: int) -> int:
    found = db.session.scalars(
        select(User.id)
        .where(User.is_operator, User.disabled_at.is_(None))
        .order_by(User.id)
        .with_for_update()
    )
    return sum(1 for found_id in found if found_id != user_id)


def _person(user: User) -> Person:
    return Person(
        id=user.id,
        email=user.email,
        name=user.name,
        is_operator=user.is_operator,
        has_password=user.password_hash is not None,
        created_at=user.created_at,
        last_login_at=user.last_login_at,
        disabled_at=user.disabled_at,
    )

"""Who calls the API, and which account the call is about.

An account's key acts on that account alone; a platform key names one; a person in a browser may read the
accounts they belong to. Naming an account that is out of reach is the same as naming none that exists.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select

from errors import Forbidden, InvalidRequest, NotFound
from models.accounts import Account, Membership
from services.accounts.access import RANKS
from services.accounts.accounts import account_by_name
from services.statements import Statement

_memberships = Membership.__table__.c
MEMBERSHIPS = Statement(
    select(_memberships.account_id, _memberships.role)
    .where(_memberships.user_id == bindparam("user_id"))
    .order_by(_memberships.account_id)
)
_accounts = Account.__table__.c
SLUG_OF = Statement(select(_accounts.slug).where(_accounts.id == bindparam("account_id")))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. ``account_id`` is the one account of a key; ``roles`` are a person's, by account."""

    actor: str
    account_id: int | None
    scopes: frozenset[str]
    is_platform: bool = False
    is_person: bool = False
    roles: Mapping[int, str] = field(default_factory=dict)


def person_calling(user_id: int, *, is_operator: bool = False) -> Caller:
    """The caller that a signed-in person is: reads their own accounts; an operator reads every account."""
    roles = dict(MEMBERSHIPS.all(user_id=user_id))
    only = next(iter(roles)) if len(roles) == 1 and not is_operator else None
    return Caller(f"user:{user_id}", only, frozenset(["read"]), is_operator, True, roles)


def account_for(caller: Caller, name: str | None, named_by: str = "account") -> int:
    """The account that a call is about. Raises NotFound, InvalidRequest where it must be named."""
    if name is None:
        if caller.account_id is None:
            raise InvalidRequest.of(named_by, "is required: name the account by its slug or external id")
        return caller.account_id
    account_id = account_by_name(name)
    if not (caller.is_platform or account_id == caller.account_id or account_id in caller.roles):
        raise NotFound("There is no such account.")
    return account_id


def require_role(caller: Caller, account_id: int, role: str) -> None:
    """A person needs at least this role in the account; a key's scope has been checked. Raises Forbidden."""
    if caller.is_person and not caller.is_platform:
        own = caller.roles.get(account_id)
        if own is None or RANKS[own] < RANKS[role]:
            raise Forbidden(f"Only a person who is {role} of this account may do this.")


def slug_of(account_id: int) -> str:
    """The slug of an account that exists."""
    row = SLUG_OF.first(account_id=account_id)
    assert row is not None, f"account {account_id} is gone"
    return row[0]

"""Who may open which account. What is not one's own looks like what does not exist."""

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from errors import Forbidden, NotFound
from extensions import db
from models.accounts import Account, Membership
from services.statements import Statement

RANKS = {"viewer": 1, "member": 2, "owner": 3}

_accounts = Account.__table__.c
_memberships = Membership.__table__.c
FIND_ACCOUNT = Statement(
    select(
        _accounts.id, _accounts.slug, _accounts.name, _accounts.kind, _accounts.status, _accounts.currency,
        _accounts.time_zone, _accounts.locale, _accounts.catalog_id, _accounts.agency_id, _memberships.role,
    )
    .join_from(
        Account.__table__, Membership.__table__,
        (_memberships.account_id == _accounts.id) & (_memberships.user_id == bindparam("of_user_id")),
        isouter=True,
    )
    .where(_accounts.slug == bindparam("of_slug"))
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """An account that a person has opened, and as what."""

    id: int
    slug: str
    name: str
    kind: str
    status: str
    currency: str
    time_zone: str
    locale: str
    catalog_id: int | None
    agency_id: int | None
    role: str

    def allows(self, role: str) -> bool:
        """Whether the person may do what this role may."""
        return RANKS[self.role] >= RANKS[role]


def open_account(
    slug: str, user_id: int, is_operator: bool, needed_role: str = "viewer", *, viewed_as: str | None = None
) -> OpenAccount:
    """The account with a slug, for a person. Operators may open every account, as an owner does.

    ``viewed_as`` is the role that an operator has taken to see what its holder sees.

    Raises NotFound, in the same words, where there is none and where it is somebody else's; Forbidden
    where the person's role does not suffice.
    """
    row = None if "\x00" in slug else FIND_ACCOUNT.first(of_slug=slug, of_user_id=user_id)
    if row is None or (row[-1] is None and not is_operator):
        raise NotFound("There is nothing here.")
    account = OpenAccount(*row[:-1], role=(viewed_as or "owner") if is_operator else row[-1])
    if not account.allows(needed_role):
        raise Forbidden(f"Only a person who is {needed_role} of this account may do this.")
    return account


def first_account_slug(user_id: int, preferred: str | None = None) -> str | None:
    """Where a person begins: the own account opened last, else the first one; None where there is none."""
    mine = select(Account.slug).join(Membership, Membership.account_id == Account.id)
    mine = mine.where(Membership.user_id == user_id)
    if preferred and db.session.scalar(mine.where(Account.slug == preferred)) is not None:
        return preferred
    return db.session.scalar(mine.order_by(Account.name, Account.id).limit(1))

"""Accounts: made once per external id, changed, found by name, listed.

A name (slug or external id) means one account: both live in one table. Source: docs/api.md, accounts.
"""

import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, or_, select, text, true
from sqlalchemy.orm import joinedload

from errors import Conflict, FieldError, InvalidRequest, NotFound
from extensions import db
from models.accounts import Account, AccountName
from models.catalog import Catalog
from services import audit
from services.accounts.account_fields import CHECKS, RESERVED_SLUGS
from services.clock import business_now
from services.statements import Statement
from services.unit_of_work import atomic

_names = AccountName.__table__.c
ACCOUNT_NAMED = Statement(select(_names.account_id).where(_names.name == bindparam("of_name")))
LONGEST_MADE_SLUG = 60
MOST_PER_PAGE = 100
EDITABLE = ("name", "email", "slug", "external_id", "time_zone", "locale", "status")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account to make. ``agency`` and ``catalogue`` by name and code; None: the default."""

    name: str
    slug: str | None = None
    external_id: str | None = None
    email: str | None = None
    kind: str = "client"
    agency: str | None = None
    catalogue: str | None = None
    currency: str | None = None
    time_zone: str = "UTC"
    locale: str = "en_US"


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as a reader sees it. ``agency`` is a slug, ``catalogue`` a code."""

    id: int
    public_id: str
    slug: str
    external_id: str | None
    name: str
    email: str | None
    kind: str
    agency: str | None
    catalogue: str | None
    currency: str
    time_zone: str
    locale: str
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Accounts in order of age, and where the next page begins."""

    accounts: list[AccountView]
    next_cursor: int | None


@dataclass(frozen=True, slots=True)
class FoundAccounts:
    """Accounts, newest first; a cursor is None where there is no page on that side."""

    accounts: list[AccountView]
    total: int
    previous_cursor: int | None
    next_cursor: int | None


@atomic
def create_account(new: NewAccount, *, actor: str = "command") -> tuple[AccountView, bool]:
    """Make an account, or find the one that has the external id already; the flag says which.

    Idempotent by ``external_id``.
    Raises InvalidRequest naming each wrong field, Conflict for a name that is taken.
    """
    values = checked({name: getattr(new, name) for name in CHECKS if getattr(new, name, None) is not None})
    _lock_names()
    known = _with_external_id(values.get("external_id"))
    if known is not None:
        return account_view(known), False
    catalog = _catalog(new.catalogue)
    account = Account(
        public_id=secrets.token_hex(12),
        slug=values.get("slug") or _free_slug(values["name"]),
        external_id=values.get("external_id"),
        name=values["name"],
        email=values.get("email"),
        kind=values["kind"],
        agency_id=_agency_id(new.agency, values["kind"]),
        catalog_id=catalog.id if catalog else None,
        currency=values.get("currency") or (catalog.currency if catalog else "usd"),
        time_zone=values["time_zone"],
        locale=values["locale"],
        created_at=business_now(),
    )
    for field in ("slug", "external_id"):
        _require_free(field, getattr(account, field), None)
    db.session.add(account)
    db.session.flush()
    _write_names(account)
    audit.record("account.created", actor, account.id, kind=account.kind)
    return account_view(account.id), True


@atomic
def update_account(account_id: int, changes: dict[str, Any], *, actor: str = "command") -> AccountView:
    """Change some of ``EDITABLE``; None takes an e-mail address or external id away.

    Raises InvalidRequest naming each wrong field, Conflict for a name that is taken, NotFound.
    """
    assert set(changes) <= set(EDITABLE), changes
    account = db.session.get(Account, account_id)
    if account is None:
        raise NotFound("There is no such account.")
    removable = {"email", "external_id"}
    values = checked({f: v for f, v in changes.items() if v is not None or f not in removable})
    values |= {field: None for field in removable if field in changes and changes[field] is None}
    if "slug" in values or "external_id" in values:
        _lock_names()
        for field in ("slug", "external_id"):
            if field in values:
                _require_free(field, values[field], account_id)
    for field, value in values.items():
        setattr(account, field, value)
    db.session.flush()
    _write_names(account)
    told = {"status": values["status"]} if "status" in values else {}
    audit.record("account.changed", actor, account_id, fields=sorted(values), **told)
    return account_view(account_id)


def account_by_name(name: str) -> int:
    """The id of the account with this slug or external id. Raises NotFound."""
    row = None if "\x00" in name or len(name) > 255 else ACCOUNT_NAMED.first(of_name=name)
    if row is None:
        raise NotFound("There is no such account.")
    return row[0]


def account_view(account_id: int) -> AccountView:
    """One account as a reader sees it. Raises NotFound."""
    account = db.session.get(Account, account_id, options=_WITH_NAMES)
    if account is None:
        raise NotFound("There is no such account.")
    return _view(account)


def list_accounts(*, limit: int = 50, cursor: int | None = None) -> AccountPage:
    """Accounts, oldest first; ``cursor`` is the last id of the page before."""
    assert 1 <= limit <= MOST_PER_PAGE
    query = select(Account).options(*_WITH_NAMES).order_by(Account.id).limit(limit + 1)
    if cursor is not None:
        query = query.where(Account.id > cursor)
    found = list(db.session.scalars(query))
    page = found[:limit]
    return AccountPage([_view(a) for a in page], page[-1].id if len(found) > limit else None)


def find_accounts(
    search: str = "", *, limit: int = 50, older_than: int | None = None, newer_than: int | None = None
) -> FoundAccounts:
    """Accounts whose name, slug or external id holds a text, newest first; without one, every account.

    ``older_than`` turns the page forward and ``newer_than`` back; both are ids of accounts.
    """
    assert 1 <= limit <= MOST_PER_PAGE
    if "\x00" in search:
        return FoundAccounts([], 0, None, None)
    columns = (Account.name, Account.slug, Account.external_id)
    wanted = or_(*(c.icontains(search, autoescape=True) for c in columns)) if search else true()
    query = select(Account).options(*_WITH_NAMES).where(wanted).limit(limit + 1)
    if newer_than is not None:
        found = list(db.session.scalars(query.where(Account.id > newer_than).order_by(Account.id)))
        page, has_newer, has_older = found[:limit][::-1], len(found) > limit, True
    else:
        older = query if older_than is None else query.where(Account.id < older_than)
        found = list(db.session.scalars(older.order_by(Account.id.desc())))
        page, has_newer, has_older = found[:limit], older_than is not None, len(found) > limit
    return FoundAccounts(
        [_view(account) for account in page],
        db.session.scalar(select(func.count()).select_from(Account).where(wanted)) or 0,
        page[0].id if page and has_newer else None,
        page[-1].id if page and has_older else None,
    )


def checked(values: dict[str, Any]) -> dict[str, Any]:
    """The values in their stored form. Raises InvalidRequest naming each field that is wrong."""
    clean, refused = {}, []
    for field, value in values.items():
        try:
            clean[field] = CHECKS[field](value)
        except ValueError as error:
            refused.append(FieldError(field, str(error)))
    if refused:
        raise InvalidRequest(*refused)
    return clean


_WITH_NAMES = (joinedload(Account.agency), joinedload(Account.catalog))


def _view(account: Account) -> AccountView:
    return AccountView(
        account.id, account.public_id, account.slug, account.external_id, account.name, account.email,
        account.kind, account.agency.slug if account.agency else None,
        account.catalog.code if account.catalog else None, account.currency, account.time_zone,
        account.locale, account.status, account.created_at,
    )  # fmt: skip


def _lock_names() -> None:
    """Names are given out one at a time. On SQLite the write transaction is the lock."""
    if db.engine.dialect.name != "sqlite":
        db.session.execute(text("LOCK TABLE account_names IN SHARE ROW EXCLUSIVE MODE"))


def _with_external_id(external_id: str | None) -> int | None:
    if external_id is None:
        return None
    return db.session.scalar(select(Account.id).where(Account.external_id == external_id))


def _require_free(field: str, name: str | None, own_id: int | None) -> None:
    row = None if name is None else ACCOUNT_NAMED.first(of_name=name)
    if row is not None and row[0] != own_id:
        raise Conflict(f"The {field} {name!r} is taken by another account.", field=field)


def _free_slug(name: str) -> str:
    """A slug from a name, numbered where it is taken; random where numbers would take long."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_MADE_SLUG].strip("-") or "account"
    for slug in (stem, *(f"{stem}-{number}" for number in range(2, 10))):
        if slug not in RESERVED_SLUGS and ACCOUNT_NAMED.first(of_name=slug) is None:
            return slug
    return f"{stem}-{secrets.token_hex(4)}"


def _write_names(account: Account) -> None:
    """Make the table of names say what the account says; a slug that is also the external id is one name."""
    wanted = {account.external_id: "external_id"} if account.external_id else {}
    wanted[account.slug] = "slug"
    for row in db.session.scalars(select(AccountName).where(AccountName.account_id == account.id)):
        if wanted.get(row.name) == row.kind:
            del wanted[row.name]
        else:
            db.session.delete(row)
    db.session.flush()
    db.session.add_all(AccountName(name=n, account_id=account.id, kind=kind) for n, kind in wanted.items())
    db.session.flush()


def _catalog(code: str | None) -> Catalog | None:
    query = select(Catalog).where(Catalog.archived_at.is_(None))
    if code is None:
        return db.session.scalar(query.where(Catalog.is_default))
    found = None if "\x00" in code else db.session.scalar(query.where(Catalog.code == code))
    if found is None:
        raise InvalidRequest.of("catalogue", f"there is no catalogue {code!r}")
    return found


def _agency_id(name: str | None, kind: str) -> int | None:
    if name is None:
        return None
    if kind != "client":
        raise InvalidRequest.of("agency", "only a client belongs to an agency")
    try:
        agency = db.session.get(Account, account_by_name(name))
    except NotFound:
        agency = None
    if agency is None or agency.kind != "agency":
        raise InvalidRequest.of("agency", f"there is no agency {name!r}")
    return agency.id

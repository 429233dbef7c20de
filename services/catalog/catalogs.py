"""Which catalogue an account buys from."""

from collections.abc import Sequence

from sqlalchemy import select

from errors import NotFound
from extensions import db
from models.accounts import Account
from models.catalog import Catalog


def catalog_of(account_id: int) -> Catalog | None:
    """The account's own catalogue, else the instance's default; None where there is neither.

    Raises NotFound where there is no such account.
    """
    account = db.session.get(Account, account_id)
    if account is None:
        raise NotFound("There is no such account.")
    if account.catalog_id is not None:
        return db.session.get(Catalog, account.catalog_id)
    return default_catalog()


def default_catalog() -> Catalog | None:
    """The catalogue of whoever has no other."""
    return db.session.scalar(select(Catalog).where(Catalog.is_default, Catalog.archived_at.is_(None)))


def catalog_named(code: str) -> Catalog:
    """The catalogue of a code. Raises NotFound."""
    found = db.session.scalar(select(Catalog).where(Catalog.code == code, Catalog.archived_at.is_(None)))
    if found is None:
        raise NotFound(f"There is no catalogue {code!r}.")
    return found


def catalogs() -> Sequence[Catalog]:
    """Every catalogue that is not archived."""
    return db.session.scalars(select(Catalog).where(Catalog.archived_at.is_(None)).order_by(Catalog.id)).all()

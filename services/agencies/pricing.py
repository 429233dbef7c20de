"""What a whole credit sells for and what it costs: by client, agency and catalogue, each from a moment on.

Rows are added, never changed: the history is the table. The price of a client is its own, else its agency's
default, else its catalogue's; the cost is its agency's, else the catalogue's. Source: docs/agencies.md, prices.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import select

from errors import InvalidRequest, NotFound
from extensions import db
from models.accounts import Account
from models.agencies import CreditCost, CreditPrice
from models.catalog import Catalog, CreditType
from services.audit import record
from services.clock import business_now
from services.ledger.opening import lock_accounts
from services.unit_of_work import atomic

Source = Literal["client", "agency", "catalogue"]
MAX_PRICE_CENTS = 10**9
TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OveragePrice:
    """What a client pays for a whole credit of a type. Units: minor units of its currency."""

    credit_type_id: int
    code: str
    name: str
    scale: int
    price_cents: int
    cost_cents: int
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChange:
    """One line of the history of prices. ``before_cents`` and ``after_cents``: None where there was none of its own."""

    id: int
    client: str | None
    client_name: str | None
    credit_type: str
    before_cents: int | None
    after_cents: int | None
    cost_cents: int | None
    effective_from: datetime
    set_at: datetime
    set_by: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose price: a catalogue's, an agency's default, or a client's (of an agency or of none)."""

    catalog_id: int | None = None
    agency_id: int | None = None
    client_id: int | None = None

    @property
    def columns(self) -> dict[str, int | None]:
        """As the table names them."""
        return {
            "catalog_id": self.catalog_id, "agency_account_id": self.agency_id, "client_account_id": self.client_id
        }  # fmt: skip


def prices_for(client_account_id: int, at: datetime | None = None) -> list[OveragePrice]:
    """What is sold to a client, by type in the order of the screen. Raises NotFound."""
    client = _account(client_account_id)
    at = at or business_now()
    prices, costs = _prices(_scopes(client), at), _costs(_seller(client), at)
    types = db.session.scalars(select(CreditType).order_by(CreditType.position, CreditType.id))
    return [found for kind in types if (found := _price(kind, client, prices, costs)) is not None]


def price_for(client_account_id: int, credit_type_id: int, at: datetime | None = None) -> OveragePrice | None:
    """What a whole credit of a type costs a client; None where it is not sold to it. Raises NotFound."""
    found = prices_for(client_account_id, at)
    return next((price for price in found if price.credit_type_id == credit_type_id), None)


def costs_of(agency_id: int, at: datetime | None = None) -> dict[int, int]:
    """What whole credits cost an agency, by the id of the type. Units: minor units. Raises NotFound."""
    agency = _account(agency_id)
    found = _costs(Scope(agency.catalog_id, agency.id), at or business_now())
    return {type_id: cents for type_id, cents in found.items() if cents is not None}


def catalog_costs(catalog_id: int, at: datetime | None = None) -> dict[int, int]:
    """What whole credits cost by a catalogue, by the id of the type. Units: minor units."""
    found = _own_costs(Scope(catalog_id=catalog_id), at or business_now())
    return {type_id: cents for type_id, cents in found.items() if cents is not None}


def own_prices(scopes: Iterable[Scope], at: datetime | None = None) -> dict[Scope, dict[int, int]]:
    """The prices that scopes have set themselves and that hold at a moment, by the id of the type."""
    found = _prices(list(scopes), at or business_now())
    return {
        scope: {type_id: row.price_cents for type_id, row in rows.items() if row.price_cents is not None}
        for scope, rows in found.items()
    }


@atomic
def set_price(
    scope: Scope, credit_type: str, price_cents: int | None, *, actor: str,
    effective_from: datetime | None = None,
) -> int | None:  # fmt: skip
    """Set a price from now or from a moment to come on; None takes the own price away. The new row's id.

    Idempotent: None where that price holds then already. Raises InvalidRequest (credit_type, price_cents,
    effective_from), NotFound.
    """
    now = business_now()
    kind, moment = _type_named(credit_type), _moment(effective_from, now)
    _check_cents("price_cents", price_cents)
    _lock(scope)
    before = _prices([scope], moment)[scope].get(kind.id)
    if price_cents == (before.price_cents if before else None):
        return None
    seller = _seller_of(scope)
    row = CreditPrice(
        **scope.columns, credit_type_id=kind.id, price_cents=price_cents,
        cost_cents=_costs(seller, moment).get(kind.id),
        effective_from=_free_moment(CreditPrice, scope.columns, kind.id, moment), set_at=now, set_by=actor,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    record(
        "price.set", actor, scope.client_id or scope.agency_id, credit_type=kind.code, price_cents=price_cents
    )
    return row.id


@atomic
def set_cost(
    scope: Scope,
    credit_type: str,
    cost_cents: int | None,
    *,
    actor: str,
    effective_from: datetime | None = None,
) -> int | None:
    """Set a cost, of a catalogue or of an agency, from a moment on; None takes an agency's own away.

    Idempotent; raises as ``set_price``.
    """
    now = business_now()
    kind, moment = _type_named(credit_type), _moment(effective_from, now)
    _check_cents("cost_cents", cost_cents)
    _lock(scope)
    own = Scope(agency_id=scope.agency_id) if scope.agency_id else Scope(catalog_id=scope.catalog_id)
    if cost_cents == _own_costs(own, moment).get(kind.id):
        return None
    columns = {"catalog_id": own.catalog_id, "agency_account_id": own.agency_id}
    row = CreditCost(
        **columns, credit_type_id=kind.id, cost_cents=cost_cents,
        effective_from=_free_moment(CreditCost, columns, kind.id, moment), set_at=now, set_by=actor,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    record("cost.set", actor, own.agency_id, credit_type=kind.code, cost_cents=cost_cents)
    return row.id


def price_history(agency_id: int, client_id: int | None = None, limit: int = 500) -> list[PriceChange]:
    """Every change of an agency's prices, or of one client's, newest first."""
    query = (
        select(CreditPrice, Account.slug, Account.name)
        .outerjoin(Account, Account.id == CreditPrice.client_account_id)
        .where(CreditPrice.agency_account_id == agency_id)
        .order_by(CreditPrice.effective_from, CreditPrice.id)
    )
    if client_id is not None:
        query = query.where(CreditPrice.client_account_id == client_id)
    before: dict[tuple[int | None, int], int | None] = {}
    changes = []
    for row, slug, name in db.session.execute(query):
        place = row.client_account_id, row.credit_type_id
        changes.append(
            PriceChange(
                id=row.id, client=slug, client_name=name, credit_type=row.credit_type.code,
                before_cents=before.get(place), after_cents=row.price_cents, cost_cents=row.cost_cents,
                effective_from=row.effective_from, set_at=row.set_at, set_by=row.set_by,
            )
        )  # fmt: skip
        before[place] = row.price_cents
    return changes[::-1][:limit]


def _account(account_id: int) -> Account:
    account = db.session.get(Account, account_id)
    if account is None:
        raise NotFound("There is no such account.")
    return account


def _seller_of(scope: Scope) -> Scope:
    """Whose costs a price of this scope is held against."""
    if scope.agency_id is None and scope.client_id is None:
        return scope
    account = _account(scope.agency_id or scope.client_id or 0)
    return Scope(account.catalog_id, scope.agency_id)


def _scopes(client: Account) -> list[Scope]:
    """Where a client's price is looked for, nearest first. What is in another currency is not sold to it."""
    scopes = [Scope(agency_id=client.agency_id, client_id=client.id)]
    if client.agency_id is not None and client.agency is not None:
        if client.agency.currency == client.currency:
            scopes.append(Scope(agency_id=client.agency_id))
        else:
            scopes = []
    if client.catalog is not None and client.catalog.currency == client.currency:
        scopes.append(Scope(catalog_id=client.catalog_id))
    return scopes


def _seller(client: Account) -> Scope:
    return Scope(client.catalog_id, client.agency_id)


def _prices(scopes: list[Scope], at: datetime) -> dict[Scope, dict[int, CreditPrice]]:
    """The row that holds at a moment, by scope and type."""
    found: dict[Scope, dict[int, CreditPrice]] = {scope: {} for scope in scopes}
    for scope in scopes:
        rows = db.session.scalars(
            select(CreditPrice)
            .filter_by(**scope.columns)
            .where(CreditPrice.effective_from <= at)
            .order_by(CreditPrice.effective_from)
        )
        found[scope] = {row.credit_type_id: row for row in rows}
    return found


def _costs(seller: Scope, at: datetime) -> dict[int, int | None]:
    """The costs that hold at a moment: an agency's own before the catalogue's."""
    costs = _own_costs(Scope(catalog_id=seller.catalog_id), at) if seller.catalog_id else {}
    if seller.agency_id:
        own = _own_costs(Scope(agency_id=seller.agency_id), at)
        costs |= {type_id: cents for type_id, cents in own.items() if cents is not None}
    return costs


def _own_costs(scope: Scope, at: datetime) -> dict[int, int | None]:
    rows = db.session.scalars(
        select(CreditCost)
        .filter_by(catalog_id=scope.catalog_id, agency_account_id=scope.agency_id)
        .where(CreditCost.effective_from <= at)
        .order_by(CreditCost.effective_from)
    )
    return {row.credit_type_id: row.cost_cents for row in rows}


def _price(
    kind: CreditType,
    client: Account,
    prices: dict[Scope, dict[int, CreditPrice]],
    costs: dict[int, int | None],
) -> OveragePrice | None:
    for scope, rows in prices.items():
        row = rows.get(kind.id)
        if row is not None and row.price_cents is not None:
            source: Source = "client" if scope.client_id else "agency" if scope.agency_id else "catalogue"
            return OveragePrice(
                credit_type_id=kind.id, code=kind.code, name=kind.name, scale=kind.scale,
                price_cents=row.price_cents, cost_cents=costs.get(kind.id) or 0, source=source,
            )  # fmt: skip
    return None


def _type_named(code: str) -> CreditType:
    kind = db.session.scalar(select(CreditType).where(CreditType.code == code))
    if kind is None:
        raise InvalidRequest.of("credit_type", f"there is no credit type {code!r}")
    return kind


def _moment(effective_from: datetime | None, now: datetime) -> datetime:
    if effective_from is not None and effective_from < now:
        raise InvalidRequest.of("effective_from", "must not lie in the past: what was bought keeps its price")
    return effective_from or now


def _check_cents(field: str, cents: int | None) -> None:
    if cents is not None and not 0 <= cents <= MAX_PRICE_CENTS:
        raise InvalidRequest.of(field, f"must be between 0 and {MAX_PRICE_CENTS} minor units")


def _lock(scope: Scope) -> None:
    """One change of a scope at a time: the seller's row stands for all its clients'."""
    if scope.agency_id or scope.client_id:
        lock_accounts(scope.agency_id or scope.client_id or 0)
    else:
        db.session.get_one(Catalog, scope.catalog_id, with_for_update=True)


def _free_moment(
    model: Any, columns: dict[str, int | None], credit_type_id: int, moment: datetime
) -> datetime:
    """The moment, or the next one that no row has: what is set later for the same moment holds."""
    taken = set(
        db.session.scalars(
            select(model.effective_from)
            .filter_by(**columns, credit_type_id=credit_type_id)
            .where(model.effective_from >= moment)
        )
    )
    while moment in taken:
        moment += TICK
    return moment

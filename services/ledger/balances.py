"""What an account has: O(1) reads of the kept position, right without any job having run.

A read that finds the next expiry passed books it in a unit of its own; where that cannot be written (the
database is read-only or busy, the account is parked) it computes. Source: docs/ledger.md, balance.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Subquery, bindparam, func, select

from errors import AccountFrozen, InvalidRequest, StorageUnavailable
from extensions import db
from models.catalog import CreditType
from models.ledger import BURN_ORDER, Balance, Grant, Hold, HoldLot
from services.clock import business_now, from_microseconds, to_microseconds
from services.ledger.opening import open_book
from services.statements import Statement
from services.unit_of_work import atomic

_types = CreditType.__table__.c
_balances = Balance.__table__.c
_grants = Grant.__table__.c
_holds = Hold.__table__.c
_lots = HoldLot.__table__.c
POSITIONS = Statement(
    select(
        _types.id, _types.code, _types.name, _types.scale, _types.is_money, _types.currency,
        func.coalesce(_balances.balance, 0), func.coalesce(_balances.held, 0),
        func.coalesce(_balances.subscription, 0), func.coalesce(_balances.purchased, 0),
        func.coalesce(_balances.used, 0), func.coalesce(_balances.last_sequence, 0),
        _balances.next_expiry_at,
    )
    .join_from(
        CreditType.__table__, Balance.__table__,
        (_balances.credit_type_id == _types.id) & (_balances.account_id == bindparam("account_id")),
        isouter=True,
    )
    .order_by(_types.position, _types.id)
)  # fmt: skip
NEXT_SUBSCRIPTION_EXPIRY = Statement(
    select(func.min(_grants.expires_at)).where(
        _grants.account_id == bindparam("account_id"),
        _grants.credit_type_id == bindparam("credit_type_id"),
        _grants.remaining > 0,
        _grants.expires_at > bindparam("now_at"),
        _grants.is_subscription,
    )
)


@dataclass(frozen=True, slots=True)
class Position:
    """What an account has in one credit type. Amounts in units, held included in ``balance``."""

    credit_type_id: int
    credit_type: str
    name: str
    scale: int
    is_money: bool
    currency: str | None
    balance: int
    held: int
    subscription: int
    total_purchased: int
    total_used: int
    last_sequence: int

    @property
    def available(self) -> int:
        """What may be spent now."""
        return self.balance - self.held

    @property
    def permanent(self) -> int:
        """The balance less its subscription part."""
        return self.balance - self.subscription


def positions(account_id: int) -> list[Position]:
    """The position in every credit type of the instance, the main one first.

    The account exists; whoever asks has resolved it.
    """
    rows = POSITIONS.all(account_id=account_id)
    now_at = to_microseconds(business_now())
    due = [row for row in rows if row[12] is not None and row[12] <= now_at]
    if due:
        unwritable = [row[1] for row in due if not _settled(account_id, row[1])]
        rows = POSITIONS.all(account_id=account_id)
        found = [_position(row) for row in rows]
        return [_computed(account_id, p, now_at) if p.credit_type in unwritable else p for p in found]
    return [_position(row) for row in rows]


def balance_of(account_id: int, credit_type: str) -> Position:
    """The position in one credit type. Raises InvalidRequest where there is no such type."""
    for position in positions(account_id):
        if position.credit_type == credit_type:
            return position
    raise InvalidRequest.of("credit_type", f"there is no credit type {credit_type!r}")


def subscription_expires_at(account_id: int, position: Position) -> datetime | None:
    """When the soonest subscription credits of a position expire."""
    if not position.subscription:
        return None
    row = NEXT_SUBSCRIPTION_EXPIRY.first(
        account_id=account_id,
        credit_type_id=position.credit_type_id,
        now_at=to_microseconds(business_now()),
    )
    return from_microseconds(row[0]) if row and row[0] is not None else None


def _position(row: tuple) -> Position:
    return Position(*row[:4], bool(row[4]), *row[5:12])


def _settled(account_id: int, credit_type: str) -> bool:
    try:
        settle_account(account_id, credit_type)
    except (StorageUnavailable, AccountFrozen):
        return False
    return True


@atomic
def settle_account(account_id: int, credit_type: str) -> None:
    """Book what is due on one page: holds that timed out, lots that expired."""
    open_book(account_id, credit_type).close()


def _computed(account_id: int, position: Position, now_at: int) -> Position:
    """The effective position without writing."""
    lots = list(_effective_lots(account_id, position.credit_type_id, now_at, open_only=True))
    return replace(
        position,
        balance=sum(remaining for _, remaining, _ in lots),
        held=sum(held for _, _, held in lots),
        subscription=sum(remaining for lot, remaining, _ in lots if lot.is_subscription),
    )


def _effective_lots(
    account_id: int, credit_type_id: int, now_at: int, *, open_only: bool, most: int | None = None
) -> Iterator[tuple[Grant, int, int]]:
    """Lots in burn order with what remains and what is held of them now, whatever was booked yet.

    A hold past its time reserves nothing: what it held counts as returned, and pays what the lot owes for a
    refunded payment. Of a lot past its time only what open holds reserve is left.
    """
    reserved = _reserved_by_open_holds(account_id, credit_type_id, now_at)
    query = (
        select(Grant, func.coalesce(reserved.c.units, 0))
        .outerjoin(reserved, reserved.c.grant_id == Grant.id)
        .where(Grant.account_id == account_id, Grant.credit_type_id == credit_type_id)
        .order_by(*BURN_ORDER)
        .limit(most)
        .execution_options(populate_existing=True)
    )
    if open_only:
        query = query.where(
            Grant.remaining > 0, (Grant.expires_at.is_(None)) | (Grant.expires_at > now_at) | (Grant.held > 0)
        )
    for lot, units in db.session.execute(query):
        held = int(units)
        if lot.expires_at is not None and to_microseconds(lot.expires_at) <= now_at:
            remaining = held
        else:
            remaining = lot.remaining - min(lot.held - held, lot.unrecovered)
        if remaining or not open_only:
            yield lot, remaining, held


def _reserved_by_open_holds(account_id: int, credit_type_id: int, now_at: int) -> Subquery:
    return (
        select(_lots.grant_id, func.sum(_lots.amount).label("units"))
        .join_from(HoldLot.__table__, Hold.__table__, _holds.id == _lots.hold_id)
        .where(
            _holds.account_id == account_id,
            _holds.credit_type_id == credit_type_id,
            _holds.status == "open",
            (_holds.expires_at.is_(None)) | (_holds.expires_at > now_at),
        )
        .group_by(_lots.grant_id)
        .subquery()
    )


@dataclass(frozen=True, slots=True)
class ExpiringSoon:
    """Units of one credit type that expire within a while, and when the first of them do."""

    credit_type_id: int
    units: int
    first_at: datetime


def expiring_within(account_id: int, days: int) -> list[ExpiringSoon]:
    """What will expire within so many days if it is not spent, by credit type."""
    now = business_now()
    rows = db.session.execute(
        select(Grant.credit_type_id, func.sum(Grant.remaining), func.min(Grant.expires_at))
        .where(
            Grant.account_id == account_id,
            Grant.remaining > 0,
            Grant.expires_at > now,
            Grant.expires_at <= now + timedelta(days=days),
        )
        .group_by(Grant.credit_type_id)
    )
    return [ExpiringSoon(type_id, int(units), _instant(first_at)) for type_id, units, first_at in rows]


def _instant(value: datetime | int) -> datetime:
    """An aggregate may come back as it is stored."""
    return from_microseconds(value) if isinstance(value, int) else value


@dataclass(frozen=True, slots=True)
class LotView:
    """One lot as a reader sees it. Amounts in units."""

    grant_id: int
    credit_type: str
    scale: int
    source: str
    is_subscription: bool
    amount: int
    remaining: int
    held: int
    unrecovered: int
    priority: int
    expires_at: datetime | None
    created_at: datetime


def lots_of(account_id: int, credit_type: str, *, open_only: bool = True, most: int = 1000) -> list[LotView]:
    """The lots of a page in burn order, at most ``most``. Raises InvalidRequest for an unknown type."""
    position = balance_of(account_id, credit_type)
    found = _effective_lots(
        account_id,
        position.credit_type_id,
        to_microseconds(business_now()),
        open_only=open_only,
        most=most,
    )
    return [
        LotView(
            lot.id, position.credit_type, position.scale, lot.source, lot.is_subscription, lot.amount,
            remaining, held, lot.unrecovered, lot.priority, lot.expires_at, lot.created_at,
        )
        for lot, remaining, held in found
    ]  # fmt: skip

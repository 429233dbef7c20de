"""The journal as a reader sees it: newest first, one page at the same cost at any depth.

Pages go by keyset on the line id, which rises with time within an account; a date filter is first mapped to
ids, an offset to a sequence number where it can be. Totals come from kept counters, or are counted to
10,000 and then unknown. Source: docs/ledger.md, history.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select, union_all

from errors import InvalidRequest, NotFound
from extensions import db
from models.catalog import CreditType
from models.ledger import TRANSACTION_TYPES, Allocation, Balance, Grant, Transaction
from services.ledger.book import COUNTED_TYPES
from services.ledger.offsets import places_of

MOST_COUNTED = 10_000
# What a column of ids can hold; a greater number is refused by the database's driver.
LARGEST_ID = 2**63 - 1
TYPE_GROUPS: dict[str, tuple[str, ...]] = {
    "transactions": TRANSACTION_TYPES,
    "purchases": ("purchase", "subscription", "overage"),
    "usage": ("usage", "refund"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """Which lines. ``until`` is exclusive; ``cursor`` is the last id of the page before.

    ``newer_than`` turns the page back: the lines just newer than that id. ``with_quantity``: only lines that
    say how many of something were paid for, such as messages.
    """

    account_id: int
    type: str = "transactions"
    credit_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    task_id: str | None = None
    text: str | None = None
    with_quantity: bool = False
    limit: int = 50
    offset: int = 0
    cursor: int | None = None
    newer_than: int | None = None


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line. Amounts in units of ``10**-scale``."""

    id: int
    sequence: int
    type: str
    credit_type: str
    scale: int
    amount: int
    balance_before: int
    balance_after: int
    task_id: str | None
    description: str
    quantity: str | None
    unit_cost: str | None
    payment_method: str | None
    details: str | None
    actor: str
    created_at: datetime
    grant_id: int | None
    related_id: int | None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Lines and where they stand. ``total`` is None where it was not counted to the end."""

    lines: list[HistoryLine]
    total: int | None
    has_more: bool
    next_cursor: int | None
    previous_cursor: int | None = None


@dataclass(frozen=True, slots=True)
class AllocationView:
    """One lot that a line drew on or filled. ``amount`` signed, in units."""

    grant_id: int
    amount: int
    source: str
    is_subscription: bool
    expires_at: datetime | None


def line_types(name: str) -> tuple[str, ...]:
    """The line types that a filter's name stands for. Raises InvalidRequest."""
    if name in TYPE_GROUPS:
        return TYPE_GROUPS[name]
    if name in TRANSACTION_TYPES:
        return (name,)
    raise InvalidRequest.of("type", f"must be one of {', '.join((*TYPE_GROUPS, *TRANSACTION_TYPES))}")


def history(query: HistoryQuery) -> HistoryPage:
    """One page of an account's journal. Raises InvalidRequest for an unknown type or credit type."""
    types = line_types(query.type)
    credit_type_id = _credit_type_id(query.credit_type)
    pages = _pages(query.account_id, credit_type_id)
    lines = _fetch(query, types, credit_type_id, pages)
    total = _total(query, types, credit_type_id, pages)
    if query.newer_than is not None:
        newer_remain = len(lines) > query.limit
        lines = lines[-query.limit :]
        last_id = lines[-1].id if lines else query.newer_than + 1
        return HistoryPage(lines, total, True, last_id, lines[0].id if newer_remain else None)
    has_more = len(lines) > query.limit
    lines = lines[: query.limit]
    is_first = query.cursor is None and query.offset == 0
    return HistoryPage(
        lines,
        total,
        has_more,
        lines[-1].id if has_more else None,
        lines[0].id if lines and not is_first else None,
    )


def line_of(account_id: int, transaction_id: int) -> HistoryLine:
    """One line of an account. Raises NotFound."""
    row = None
    if transaction_id <= LARGEST_ID:
        row = db.session.execute(_lines(account_id).where(Transaction.id == transaction_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such transaction.")
    return HistoryLine(*row)


def allocations_of(transaction_id: int) -> list[AllocationView]:
    """The lots that a line drew on or filled, in order."""
    rows = db.session.execute(
        select(Grant.id, Allocation.amount, Grant.source, Grant.is_subscription, Grant.expires_at)
        .join(Allocation, Allocation.grant_id == Grant.id)
        .where(Allocation.transaction_id == transaction_id)
        .order_by(Allocation.position)
    )
    return [AllocationView(*row) for row in rows]


def _credit_type_id(code: str | None) -> int | None:
    if code is None:
        return None
    found = db.session.scalar(select(CreditType.id).where(CreditType.code == code))
    if found is None:
        raise InvalidRequest.of("credit_type", f"there is no credit type {code!r}")
    return found


def _pages(account_id: int, credit_type_id: int | None) -> list[Balance]:
    query = select(Balance).where(Balance.account_id == account_id, Balance.last_sequence > 0)
    if credit_type_id is not None:
        query = query.where(Balance.credit_type_id == credit_type_id)
    return list(db.session.scalars(query))


def _lines(account_id: int) -> Select[Any]:
    return (
        select(
            Transaction.id, Transaction.sequence, Transaction.type, CreditType.code, CreditType.scale,
            Transaction.amount, Transaction.balance_before, Transaction.balance_after, Transaction.task_id,
            Transaction.description, Transaction.quantity, Transaction.unit_cost,
            Transaction.payment_method, Transaction.details, Transaction.actor, Transaction.created_at,
            Transaction.grant_id, Transaction.related_id,
        )
        .join(CreditType, CreditType.id == Transaction.credit_type_id)
        .where(Transaction.account_id == account_id)
    )  # fmt: skip


def _fetch(
    query: HistoryQuery, types: tuple[str, ...], credit_type_id: int | None, pages: list[Balance]
) -> list[HistoryLine]:
    """``limit + 1`` lines, each line type by its own index range where there are several."""
    starts_at_top = query.cursor is None and query.newer_than is None
    if _is_unfiltered(query, types) and starts_at_top and len(pages) == 1:
        return _from_sequence(query, pages[0])
    if query.offset and query.newer_than is None:
        if query.cursor is None and not _is_narrowed(query):
            first_id = _id_of_rank(query, types, credit_type_id, pages)
        else:
            first_id = _id_at_offset(query, types, credit_type_id)
        if first_id is None:
            return []
        query = replace(query, offset=0, cursor=first_id + 1)
    wanted = query.limit + 1
    found: list[HistoryLine] = []
    for line_type in _ranges(types):
        statement = _of_type(_filtered(_lines(query.account_id), query, credit_type_id), line_type)
        if query.cursor is not None:
            statement = statement.where(Transaction.id < query.cursor)
        order = Transaction.id.desc()
        if query.newer_than is not None:
            statement, order = statement.where(Transaction.id > query.newer_than), Transaction.id.asc()
        rows = db.session.execute(statement.order_by(order).limit(wanted))
        found += [HistoryLine(*row) for row in rows]
    found.sort(key=lambda line: -line.id)
    return found[-wanted:] if query.newer_than is not None else found[:wanted]


def _id_of_rank(
    query: HistoryQuery, types: tuple[str, ...], credit_type_id: int | None, pages: list[Balance]
) -> int | None:
    """The same for lines filtered by type alone: they are counted already, and places found are remembered."""
    total = _kept_total(types, pages)
    if query.offset >= total:
        return None

    def skip(start_id: int | None, lines: int, is_newer: bool) -> int | None:
        start = select(Transaction.id).where(Transaction.account_id == query.account_id)
        if start_id is not None:
            start = start.where(Transaction.id >= start_id if is_newer else Transaction.id <= start_id)
        return _nth(_arms(start, query, types, credit_type_id), lines, is_newer)

    return places_of(db.engine).id_at(
        (query.account_id, types, credit_type_id), total - 1 - query.offset, total, skip,
        in_one_snapshot=db.engine.dialect.name == "sqlite",
    )  # fmt: skip


def _id_at_offset(query: HistoryQuery, types: tuple[str, ...], credit_type_id: int | None) -> int | None:
    """The id of the line that so many newer ones precede; they are skipped within the indexes, not read."""
    of_account = select(Transaction.id).where(Transaction.account_id == query.account_id)
    if query.cursor is not None:
        of_account = of_account.where(Transaction.id < query.cursor)
    return _nth(_arms(of_account, query, types, credit_type_id), query.offset, is_newer=False)


def _arms(
    start: Select[Any], query: HistoryQuery, types: tuple[str, ...], credit_type_id: int | None
) -> list[Select[Any]]:
    return [_of_type(_filtered(start, query, credit_type_id), line_type) for line_type in _ranges(types)]


def _nth(arms: list[Select[Any]], skipped: int, is_newer: bool) -> int | None:
    """The id that so many others precede in the order asked for."""
    ids = union_all(*arms) if len(arms) > 1 else arms[0]
    column = ids.selected_columns.id
    return db.session.scalar(
        ids.order_by(column.asc() if is_newer else column.desc()).limit(1).offset(skipped)
    )


def _ranges(types: tuple[str, ...]) -> Sequence[str | None]:
    """The index ranges to read: all lines are one."""
    return (None,) if types == TRANSACTION_TYPES else types


def _of_type(statement: Select[Any], line_type: str | None) -> Select[Any]:
    return statement if line_type is None else statement.where(Transaction.type == line_type)


def _from_sequence(query: HistoryQuery, page: Balance) -> list[HistoryLine]:
    """An offset into one page's whole journal is a sequence number: the numbers have no gaps."""
    statement = (
        _lines(query.account_id)
        .where(
            Transaction.credit_type_id == page.credit_type_id,
            Transaction.sequence <= page.last_sequence - query.offset,
        )
        .order_by(Transaction.sequence.desc())
        .limit(query.limit + 1)
    )
    return [HistoryLine(*row) for row in db.session.execute(statement)]


def _is_unfiltered(query: HistoryQuery, types: tuple[str, ...]) -> bool:
    return types == TRANSACTION_TYPES and not _is_narrowed(query)


def _is_narrowed(query: HistoryQuery) -> bool:
    """Whether more than types and credit types are asked for: then the kept counters do not know the total."""
    return bool(query.since or query.until or query.task_id or query.text or query.with_quantity)


def _kept_total(types: tuple[str, ...], pages: list[Balance]) -> int:
    assert set(types) <= set(COUNTED_TYPES)
    return sum(getattr(page, f"{line_type}_lines") for page in pages for line_type in types)


def _filtered(statement: Select[Any], query: HistoryQuery, credit_type_id: int | None) -> Select[Any]:
    if credit_type_id is not None:
        statement = statement.where(Transaction.credit_type_id == credit_type_id)
    if query.task_id is not None:
        statement = statement.where(Transaction.task_id == query.task_id)
    if query.with_quantity:
        statement = statement.where(Transaction.quantity.is_not(None))
    if query.text:
        pattern = query.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        statement = statement.where(
            or_(
                Transaction.description.ilike(f"%{pattern}%", escape="\\"),
                Transaction.task_id.ilike(f"%{pattern}%", escape="\\"),
            )
        )
    if query.since is not None:
        statement = statement.where(Transaction.id >= _first_id(query.account_id, query.since))
    if query.until is not None:
        statement = statement.where(Transaction.id < _first_id(query.account_id, query.until))
    return statement


def _first_id(account_id: int, moment: datetime) -> int:
    """The id of the first line at or after a moment; past every id where there is none."""
    found = db.session.scalar(
        select(Transaction.id)
        .where(Transaction.account_id == account_id, Transaction.created_at >= moment)
        .order_by(Transaction.created_at, Transaction.id)
        .limit(1)
    )
    return 2**62 if found is None else found


def _total(
    query: HistoryQuery, types: tuple[str, ...], credit_type_id: int | None, pages: list[Balance]
) -> int | None:
    if not _is_narrowed(query):
        return _kept_total(types, pages)
    statement = _filtered(
        select(Transaction.id).where(Transaction.account_id == query.account_id), query, credit_type_id
    )
    if types != TRANSACTION_TYPES:
        statement = statement.where(Transaction.type.in_(types))
    counted = db.session.scalar(
        select(func.count()).select_from(statement.limit(MOST_COUNTED + 1).subquery())
    )
    return None if counted is None or counted > MOST_COUNTED else counted

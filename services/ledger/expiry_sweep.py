"""The sweep over everything that has ended: many accounts in one unit, units short enough to spend between.

What a spend books lazily for its own account, the sweep books for all whose ``next_expiry_at`` has passed, in
bulk. Source: docs/ledger.md, expiry.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, bindparam, exists, func, insert, select, type_coerce

from extensions import db
from models.accounts import Account
from models.catalog import CreditType
from models.ledger import Allocation, Balance, Grant, Hold, Transaction
from services.clock import business_now, to_microseconds
from services.ledger import chain
from services.ledger.book import READ, UPDATE_BALANCE, Book, Line
from services.ledger.expiry import (
    ACTOR,
    INSERT_LINES,
    WRITE_OFF_EXPIRED,
    settle_due,
)
from services.statements import OneOf, Statement
from services.unit_of_work import atomic

# A unit aims well below the 50 ms for which the write lock may be held: the commit comes on top.
UNIT_SECONDS = 0.025
FIRST_LOTS = 200
FEWEST_LOTS = 20
MOST_LOTS = 4_000
MOST_PAGES = 1_000

_accounts = Account.__table__.c
_types = CreditType.__table__.c
_balances = Balance.__table__.c
_grants = Grant.__table__.c
_holds = Hold.__table__.c
_lines = Transaction.__table__.c
_raw_kept = [
    type_coerce(_balances[name], BigInteger) if name.endswith("_at") else _balances[name] for name in READ
]
LAST_LINE = Statement(select(func.coalesce(func.max(_lines.id), 0)))
# Each line of this kind names its one lot, and nobody else writes lines of a locked account. The sum keeps the
# index on accounts out: what is new lies together at the end.
ALLOCATE_NEW_LINES = Statement(
    insert(Allocation.__table__).from_select(
        ["transaction_id", "position", "grant_id", "amount"],
        select(_lines.id, 0, _lines.grant_id, _lines.amount).where(
            _lines.id > bindparam("last_line", type_=BigInteger), OneOf(_lines.account_id + 0, "account_ids")
        ),
    )
)
_now_at = bindparam("now_at", type_=BigInteger)
_is_due = (type_coerce(_balances.next_expiry_at, BigInteger) <= _now_at) & (_accounts.status != "parked")
_chosen = (
    select(_balances.account_id)
    .join_from(Balance.__table__, Account.__table__, _accounts.id == _balances.account_id)
    .where(_is_due)
    .order_by(_balances.next_expiry_at)
    .limit(bindparam("most"))
)
DUE_ACCOUNTS = Statement(_chosen)
ACCOUNTS_WITH_ENDED_HOLDS = Statement(
    _chosen.where(
        exists().where(
            _holds.account_id == _balances.account_id,
            _holds.credit_type_id == _balances.credit_type_id,
            _holds.status == "open",
            type_coerce(_holds.expires_at, BigInteger) <= _now_at,
        )
    )
)
# Who is at work on an account books its expiries too: the sweep need not wait for it.
LOCK_FREE_ACCOUNTS = Statement(
    select(_accounts.id)
    .where(OneOf(_accounts.id, "account_ids"))
    .order_by(_accounts.id)
    .with_for_update(skip_locked=True)
)
DUE_PAGES = Statement(
    select(_accounts.id, _accounts.status, _types.id, _types.code, _types.scale, *_raw_kept)
    .join_from(Balance.__table__, Account.__table__, _accounts.id == _balances.account_id)
    .join(CreditType.__table__, _types.id == _balances.credit_type_id)
    .where(OneOf(_balances.account_id, "account_ids"), _is_due)
    .order_by(_balances.account_id, _balances.credit_type_id)
)
PAGES_WITH_ENDED_HOLDS = Statement(
    select(_holds.account_id, _holds.credit_type_id)
    .where(
        OneOf(_holds.account_id, "account_ids"),
        _holds.status == "open",
        type_coerce(_holds.expires_at, BigInteger) <= _now_at,
    )
    .distinct()
)
DUE_LOTS = Statement(
    select(
        _grants.account_id, _grants.credit_type_id, _grants.id, _grants.remaining - _grants.held,
        _grants.is_subscription,
    )
    .where(
        OneOf(_grants.account_id, "account_ids"),
        _grants.remaining > 0,
        type_coerce(_grants.expires_at, BigInteger) <= _now_at,
        _grants.remaining > _grants.held,
    )
    .order_by(_grants.account_id, _grants.credit_type_id, _grants.expires_at, _grants.id)
    .limit(bindparam("most"))
)  # fmt: skip
NEXT_EXPIRIES = Statement(
    select(
        _balances.account_id,
        _balances.credit_type_id,
        select(func.min(type_coerce(_grants.expires_at, BigInteger)))
        .where(
            _grants.account_id == _balances.account_id,
            _grants.credit_type_id == _balances.credit_type_id,
            _grants.remaining > 0,
            type_coerce(_grants.expires_at, BigInteger) > _now_at,
        )
        .scalar_subquery(),
        select(func.min(type_coerce(_holds.expires_at, BigInteger)))
        .where(
            _holds.account_id == _balances.account_id,
            _holds.credit_type_id == _balances.credit_type_id,
            _holds.status == "open",
            type_coerce(_holds.expires_at, BigInteger) > _now_at,
        )
        .scalar_subquery(),
    ).where(OneOf(_balances.account_id, "account_ids"))
)


@dataclass(slots=True)
class Swept:
    """What a sweep did."""

    lots: int = 0
    pages: int = 0
    units: int = 0
    longest_seconds: float = 0.0


def sweep_due(stop: Callable[[], bool] = lambda: False, *, holds_only: bool = False) -> Swept:
    """End every lot and hold that is due, unit by unit, until none is left or ``stop`` says so.

    With ``holds_only``, only where a hold has timed out. Idempotent: what has ended is not due again.
    Accounts that are parked stay as they are.
    """
    swept = Swept()
    most_lots = FIRST_LOTS
    while not stop():
        began = time.perf_counter()
        lots, pages = _sweep_unit(most_lots, holds_only)
        took = time.perf_counter() - began
        if pages == 0:
            return swept
        swept.lots += lots
        swept.pages += pages
        swept.units += 1
        swept.longest_seconds = max(swept.longest_seconds, took)
        most_lots = min(max(int(most_lots * min(UNIT_SECONDS / took, 2)), FEWEST_LOTS), MOST_LOTS)
    return swept


@atomic
def _sweep_unit(most_lots: int, holds_only: bool) -> tuple[int, int]:
    """Settle some due pages; returns how many lots expired and how many pages were touched."""
    books = _due_books(min(most_lots, MOST_PAGES), holds_only)
    if not books:
        return 0, 0
    account_ids = sorted({book.account_id for book in books})
    with_holds = _pages_with_ended_holds(books[0].now_at, account_ids)
    plain = [book for book in books if (book.account_id, book.credit_type_id) not in with_holds]
    lots = _expire_in_bulk(plain, most_lots) if plain else 0
    for book in books:
        if (book.account_id, book.credit_type_id) in with_holds:
            lots += settle_due(book, max(most_lots - lots, 1))
            book.close()
    return lots, len(books)


def next_expiry_at(after: datetime) -> datetime | None:
    """When the next lot or hold ends; None where nothing does."""
    return db.session.scalar(select(func.min(Balance.next_expiry_at)).where(Balance.next_expiry_at > after))


def _due_books(most_pages: int, holds_only: bool) -> list[Book]:
    """Pages on which something has ended, their accounts locked, as they are under the lock."""
    now = business_now()
    now_at = to_microseconds(now)
    chosen = ACCOUNTS_WITH_ENDED_HOLDS if holds_only else DUE_ACCOUNTS
    account_ids = {row[0] for row in chosen.all(now_at=now_at, most=most_pages)}
    if account_ids and db.engine.dialect.name != "sqlite":
        account_ids = {row[0] for row in LOCK_FREE_ACCOUNTS.all(account_ids=_listed(account_ids))}
    if not account_ids:
        return []
    rows = DUE_PAGES.all(account_ids=_listed(account_ids), now_at=now_at)
    return [Book(row[0], row[1:], now) for row in rows]


def _listed(account_ids: Iterable[int]) -> str:
    return json.dumps(sorted(account_ids))


def _pages_with_ended_holds(now_at: int, account_ids: list[int]) -> set[tuple[int, int]]:
    rows = PAGES_WITH_ENDED_HOLDS.all(account_ids=_listed(account_ids), now_at=now_at)
    return {(account_id, credit_type_id) for account_id, credit_type_id in rows}


def _expire_in_bulk(books: list[Book], most_lots: int) -> int:
    """Write off the due lots of pages without ended holds; a page that is not done stays due."""
    by_page = {(book.account_id, book.credit_type_id): book for book in books}
    rows = _due_lots(books, most_lots)
    due = [row for row in rows if (row[0], row[1]) in by_page]
    if due:
        _write_off(by_page, due)
    done = books
    if len(rows) == most_lots:
        # Lots come page by page, so only the last page can have more, and those after it are untouched.
        last = (rows[-1][0], rows[-1][1])
        done = [book for book in books if (book.account_id, book.credit_type_id) < last]
        _close_all(by_page[page] for page in [last] if page in by_page)
    if done:
        _note_next_expiries(by_page, done)
        _close_all(done)
    return len(due)


def _note_next_expiries(by_page: dict[tuple[int, int], Book], done: list[Book]) -> None:
    """Keep on each page the soonest instant that is still to come: one seek into an index a page."""
    rows = NEXT_EXPIRIES.all(now_at=done[0].now_at, account_ids=_listed({book.account_id for book in done}))
    for account_id, credit_type_id, lot_at, hold_at in rows:
        book = by_page.get((account_id, credit_type_id))
        if book is not None:
            soonest = [instant for instant in (lot_at, hold_at) if instant is not None]
            book.kept["next_expiry_at"] = min(soonest, default=None)


def _due_lots(books: list[Book], most_lots: int) -> list[tuple]:
    """Lots that have ended, page by page in the order of the books, soonest first."""
    account_ids = _listed({book.account_id for book in books})
    return DUE_LOTS.all(account_ids=account_ids, now_at=books[0].now_at, most=most_lots)


def _write_off(by_page: dict[tuple[int, int], Book], due: list[tuple]) -> None:
    """One expiry line per lot, with its allocation."""
    last_line = LAST_LINE.first()[0]  # type: ignore[index]
    lines, parts = [], []
    for account_id, credit_type_id, grant_id, part, is_subscription in due:
        lines.append(
            by_page[account_id, credit_type_id].prepared(
                Line("expiry", -part, ACTOR, [(grant_id, -part, bool(is_subscription))], grant_id=grant_id,
                     description="Credits expired")
            )
        )  # fmt: skip
        parts.append({"of_grant": grant_id, "part": part})
    INSERT_LINES.run_many(lines)
    ALLOCATE_NEW_LINES.run(last_line=last_line, account_ids=_listed({row[0] for row in due})).close()
    WRITE_OFF_EXPIRED.run_many(parts)


def _close_all(books: Iterable[Book]) -> None:
    """Write the balance rows of many books in one go."""
    UPDATE_BALANCE.run_many(
        {
            "of_account": book.account_id,
            "of_type": book.credit_type_id,
            "mac": chain.head_mac(
                book.account_id, book.credit_type_id, book.kept["last_sequence"], book.kept["head_mac"]
            ),
            **book.kept,
        }
        for book in books
    )

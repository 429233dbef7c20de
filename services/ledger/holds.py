"""Holds: credits set aside for work in flight; captured in part or whole, released, or timed out.

A hold reserves concrete lots in burn order and writes no line; only its capture does.
Source: docs/ledger.md, holds.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, insert, select, update

from errors import HoldNotOpen, InvalidRequest, NotFound
from extensions import db
from models.catalog import CreditType
from models.ledger import Grant, Hold, HoldLot
from services.clock import to_microseconds
from services.ledger import spending_caps
from services.ledger.book import Book, Line
from services.ledger.burn_down import draws
from services.ledger.debits import lots_in_burn_order, require
from services.ledger.expiry import CLOSE_HOLD, settle_due, unreserve
from services.ledger.opening import open_book
from services.money import check_amount, to_number
from services.statements import Statement
from services.unit_of_work import atomic

DEFAULT_SECONDS = 900
MAX_SECONDS = 86_400
_grants = Grant.__table__.c
_holds = Hold.__table__.c
RESERVE = Statement(
    update(Grant.__table__)
    .where(_grants.id == bindparam("grant_id"))
    .values(held=_grants.held + bindparam("part"))
)
INSERT_HOLD = Statement(
    insert(Hold.__table__)
    .values({c.name: bindparam(c.name) for c in _holds if c.name != "id"})
    .returning(_holds.id)
)
INSERT_HOLD_LOT = Statement(
    insert(HoldLot.__table__).values({c.name: bindparam(c.name) for c in HoldLot.__table__.c})
)
READ_HOLD = Statement(
    select(
        _holds.id, _holds.status, _holds.amount, _holds.task_id, _holds.description, _holds.expires_at,
        CreditType.code,
    )
    .join_from(Hold.__table__, CreditType.__table__, CreditType.id == _holds.credit_type_id)
    .where(
        _holds.id == bindparam("hold_id"),
        _holds.account_id == bindparam("account_id"),
        _holds.payment_id.is_(None),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest:
    """Credits to set aside. ``amount`` in units; ``expires_in`` in seconds."""

    account_id: int
    credit_type: str
    amount: int
    actor: str
    expires_in: int = DEFAULT_SECONDS
    task_id: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class HoldReceipt:
    """An open hold, in units."""

    hold_id: int
    amount: int
    available: int
    expires_at: datetime
    scale: int


@dataclass(frozen=True, slots=True)
class CaptureReceipt:
    """What a capture did, in units."""

    hold_id: int
    captured: int
    released: int
    transaction_id: int
    balance_after: int
    scale: int


@atomic
def create_hold(request: HoldRequest) -> HoldReceipt:
    """Set credits aside.

    Raises InsufficientCredits, SpendingCapReached, AccountFrozen, NotFound, InvalidRequest.
    """
    if not 1 <= request.expires_in <= MAX_SECONDS:
        raise InvalidRequest.of("expires_in", f"must be between 1 and {MAX_SECONDS} seconds")
    book = open_book(request.account_id, request.credit_type, for_spending=True)
    require(book, request.amount)
    if book.is_capped:
        spending_caps.require_room(book, request.amount)
    drawn = draws(lots_in_burn_order(book), request.amount)
    expires_at = book.now + timedelta(seconds=request.expires_in)
    hold_id = _insert_hold(book, request, to_microseconds(expires_at))
    for position, draw in enumerate(drawn):
        RESERVE.run(grant_id=draw.grant_id, part=draw.amount).close()
        INSERT_HOLD_LOT.run(
            hold_id=hold_id, position=position, grant_id=draw.grant_id, amount=draw.amount
        ).close()
    book.kept["held"] += request.amount
    book.note_expiry(to_microseconds(expires_at))
    book.close()
    return HoldReceipt(hold_id, request.amount, book.available, expires_at, book.scale)


def _insert_hold(book: Book, request: HoldRequest, expires_at: int) -> int:
    cursor = INSERT_HOLD.run(
        account_id=book.account_id, credit_type_id=book.credit_type_id, status="open",
        amount=request.amount, captured=0, task_id=request.task_id, description=request.description,
        actor=request.actor, created_at=book.now_at, expires_at=expires_at, closed_at=None,
        transaction_id=None, payment_id=None,
    )  # fmt: skip
    hold_id = cursor.fetchone()[0]
    cursor.close()
    return hold_id


@atomic
def capture_hold(account_id: int, hold_id: int, amount: int | None, actor: str) -> CaptureReceipt:
    """Spend all of a hold, or part of it; the rest returns to its lots. Once.

    Units: ``amount`` in the smallest unit of the hold's credit type; None: all.
    Raises NotFound, HoldNotOpen, InvalidRequest where more than held is asked.
    """
    book, held = _open_hold(account_id, hold_id)
    captured = held.amount if amount is None else amount
    check_amount(captured)
    if captured > held.amount:
        most = to_number(held.amount, book.scale)
        raise InvalidRequest.of("amount", f"is more than the hold reserves ({most})")
    if book.is_capped:
        spending_caps.count(book, captured)  # the hold kept room for it: never refused here
    allocations = unreserve(book, hold_id, held.amount, captured)
    transaction_id = book.write(
        Line("usage", -captured, actor, allocations, task_id=held.task_id, description=held.description)
    )
    CLOSE_HOLD.run(
        hold_id=hold_id, new_status="captured", taken=captured, now_at=book.now_at, line_id=transaction_id
    ).close()
    settle_due(book)
    book.close()
    return CaptureReceipt(hold_id, captured, held.amount - captured, transaction_id, book.balance, book.scale)


@atomic
def release_hold(account_id: int, hold_id: int) -> None:
    """Give all of a hold back to its lots. Raises NotFound, HoldNotOpen."""
    book, held = _open_hold(account_id, hold_id)
    unreserve(book, hold_id, held.amount)
    CLOSE_HOLD.run(hold_id=hold_id, new_status="released", taken=0, now_at=book.now_at, line_id=None).close()
    settle_due(book)
    book.close()


@dataclass(frozen=True, slots=True)
class _Held:
    status: str
    amount: int
    task_id: str | None
    description: str


def _open_hold(account_id: int, hold_id: int) -> tuple[Book, _Held]:
    """The hold and its book, locked; holds that are due are closed first."""
    row = READ_HOLD.first(account_id=account_id, hold_id=hold_id)
    if row is None:
        raise NotFound("There is no such hold.")
    book = open_book(account_id, row[6])
    _, status, amount, task_id, description, _, _ = READ_HOLD.first(account_id=account_id, hold_id=hold_id)
    if status != "open":
        raise HoldNotOpen(f"The hold is {status}.", hold_status=status)
    return book, _Held(status, amount, task_id, description)


def hold_scale(account_id: int, hold_id: int) -> int:
    """Decimal digits of a hold's credit type. Raises NotFound."""
    scale = db.session.scalar(
        select(CreditType.scale)
        .join(Hold, Hold.credit_type_id == CreditType.id)
        .where(Hold.id == hold_id, Hold.account_id == account_id)
    )
    if scale is None:
        raise NotFound("There is no such hold.")
    return scale

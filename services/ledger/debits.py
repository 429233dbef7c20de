"""Credits that go out: spends and adjustments down, drawn from lots in burn order."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update

from errors import InsufficientCredits
from models.ledger import BURN_ORDER, Grant
from services.ledger import spending_caps
from services.ledger.book import Book, Line
from services.ledger.burn_down import Draw, Lot, draws
from services.ledger.opening import open_book
from services.money import check_amount, to_number
from services.statements import Statement
from services.unit_of_work import atomic

_grants = Grant.__table__.c
SPENDABLE_LOTS = Statement(
    select(_grants.id, _grants.remaining - _grants.held, _grants.is_subscription)
    .where(
        _grants.account_id == bindparam("account_id"),
        _grants.credit_type_id == bindparam("credit_type_id"),
        _grants.remaining > _grants.held,
    )
    .order_by(*BURN_ORDER)
    .limit(bindparam("most"))
    .offset(bindparam("skip"))
)
DRAW = Statement(
    update(Grant.__table__)
    .where(_grants.id == bindparam("grant_id"))
    .values(remaining=_grants.remaining - bindparam("part"))
)
FIRST_LOTS = 4
ALL_LOTS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Credits to spend. ``amount`` in units; ``quantity`` and ``unit_cost`` as decimal text."""

    account_id: int
    credit_type: str
    amount: int
    actor: str
    task_id: str | None = None
    description: str = ""
    quantity: str | None = None
    unit_cost: str | None = None
    details: str | None = None


@dataclass(frozen=True, slots=True)
class SpendReceipt:
    """What a spend did, in units."""

    transaction_id: int
    amount: int
    from_subscription: int
    balance_before: int
    balance_after: int
    draws: list[Draw]
    scale: int


@atomic
def spend_credits(spend: Spend) -> SpendReceipt:
    """Take credits for usage.

    Raises InsufficientCredits, SpendingCapReached, AccountFrozen, NotFound, InvalidRequest (unknown credit type).
    """
    book = open_book(spend.account_id, spend.credit_type, for_spending=True)
    require(book, spend.amount)
    if book.is_capped:
        spending_caps.require_room(book, spend.amount)
        spending_caps.count(book, spend.amount)
    receipt = _take(book, spend, "usage")
    book.close()
    return receipt


@atomic
def adjust_down(spend: Spend) -> SpendReceipt:
    """Take credits back as a correction, in burn order; allowed on a frozen account.

    Raises InsufficientCredits where the account has less.
    """
    book = open_book(spend.account_id, spend.credit_type)
    require(book, spend.amount)
    receipt = _take(book, spend, "adjustment")
    book.close()
    return receipt


def _take(book: Book, spend: Spend, line_type: str) -> SpendReceipt:
    drawn = draws(lots_in_burn_order(book), spend.amount)
    for draw in drawn:
        DRAW.defer(grant_id=draw.grant_id, part=draw.amount)
    before = book.balance
    transaction_id = book.write(
        Line(
            line_type,
            -spend.amount,
            spend.actor,
            [(draw.grant_id, -draw.amount, draw.is_subscription) for draw in drawn],
            task_id=spend.task_id,
            description=spend.description,
            quantity=spend.quantity,
            unit_cost=spend.unit_cost,
            details=spend.details,
        )
    )
    from_subscription = sum(draw.amount for draw in drawn if draw.is_subscription)
    return SpendReceipt(
        transaction_id, spend.amount, from_subscription, before, book.balance, drawn, book.scale
    )


def require(book: Book, amount: int) -> None:
    """Raises InsufficientCredits where less than ``amount`` units are available, InvalidRequest below 1."""
    check_amount(amount)
    if amount > book.available:
        raise InsufficientCredits(
            required=to_number(amount, book.scale),
            available=to_number(book.available, book.scale),
            credit_type=book.credit_type,
        )


def lots_in_burn_order(book: Book) -> Iterator[Lot]:
    """The spendable lots of a book, a few at first: a spend seldom needs more."""
    of = {"account_id": book.account_id, "credit_type_id": book.credit_type_id}
    for skip, most in ((0, FIRST_LOTS), (FIRST_LOTS, ALL_LOTS)):
        for grant_id, free, is_subscription in SPENDABLE_LOTS.all(**of, most=most, skip=skip):
            yield Lot(grant_id, free, bool(is_subscription))

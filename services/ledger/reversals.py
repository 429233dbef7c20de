"""What is undone: a spend given back to the lots that paid, a payment's credits taken back.

Source: docs/ledger.md, refund of a spend and refund of a payment.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select, update

from errors import Conflict, InvalidRequest, NotFound
from models.catalog import CreditType
from models.ledger import Allocation, Grant, Transaction
from services.ledger import spending_caps
from services.ledger.book import Book, Line, NewLot
from services.ledger.chain import LotFacts
from services.ledger.expiry import settle_due
from services.ledger.opening import lock_accounts, open_book
from services.ledger.revocations import write_revocation
from services.money import check_amount, to_number
from services.statements import Statement
from services.unit_of_work import atomic

SHORTEST_REFUND_LOT_MICROSECONDS = 24 * 3600 * 1_000_000
_grants = Grant.__table__.c
_lines = Transaction.__table__.c
_allocations = Allocation.__table__.c
READ_LINE = Statement(
    select(_lines.type, _lines.amount, _lines.created_at, _lines.task_id, CreditType.code, CreditType.scale)
    .join_from(Transaction.__table__, CreditType.__table__, CreditType.id == _lines.credit_type_id)
    .where(_lines.id == bindparam("transaction_id"), _lines.account_id == bindparam("account_id"))
)
REFUNDED_SO_FAR = Statement(
    select(func.coalesce(func.sum(_lines.amount), 0)).where(
        _lines.related_id == bindparam("transaction_id"), _lines.type == "refund"
    )
)
PAYING_LOTS = Statement(
    select(
        _allocations.grant_id,
        -_allocations.amount,
        _grants.is_subscription,
        _grants.priority,
        _grants.expires_at,
        _grants.unrecovered,
    )
    .join_from(Allocation.__table__, Grant.__table__, _grants.id == _allocations.grant_id)
    .where(_allocations.transaction_id == bindparam("transaction_id"))
    .order_by(_allocations.position.desc())
)
RETURN_TO_LOT = Statement(
    update(Grant.__table__)
    .where(_grants.id == bindparam("grant_id"))
    .values(remaining=_grants.remaining + bindparam("part"))
)
LOTS_OF_PAYMENT = Statement(
    select(
        _grants.id,
        _grants.amount,
        _grants.remaining - _grants.held,
        _grants.revoked + _grants.unrecovered,
        _grants.is_subscription,
        CreditType.code,
        _grants.account_id,
        _grants.unrecovered,
        _grants.expires_at,
    )
    .join_from(Grant.__table__, CreditType.__table__, CreditType.id == _grants.credit_type_id)
    .where(_grants.payment_id == bindparam("payment_id"))
    .order_by(_grants.id)
)


@dataclass(frozen=True, slots=True)
class RefundReceipt:
    """What a refund of a spend did, in units."""

    transaction_id: int
    refunded: int
    balance_after: int
    allocations: list[tuple[int, int]]
    scale: int


@dataclass(frozen=True, slots=True)
class _PayingLot:
    grant_id: int
    paid: int
    is_subscription: bool
    priority: int
    expires_at: int | None
    unrecovered: int


@atomic
def refund_spend(
    account_id: int, transaction_id: int, amount: int | None, actor: str, description: str = ""
) -> RefundReceipt:
    """Put a spend's credits, or part of them, back into the lots that paid, last drawn first.

    Units: ``amount`` in the smallest unit of the line's credit type; None: all that is left to refund.
    Raises NotFound, InvalidRequest (the line is no usage), Conflict with ``refundable``.
    """
    row = READ_LINE.first(account_id=account_id, transaction_id=transaction_id)
    if row is None:
        raise NotFound("There is no such transaction.")
    line_type, spent, spent_at, task_id, credit_type, scale = row
    if line_type != "usage":
        raise InvalidRequest.of("transaction_id", f"is a line of type {line_type}; only usage is refunded")
    book = open_book(account_id, credit_type)
    refunded_before = int(REFUNDED_SO_FAR.first(transaction_id=transaction_id)[0])
    refundable = -spent - refunded_before
    wanted = refundable if amount is None else amount
    if amount is not None:
        check_amount(amount)
    if wanted > refundable or wanted == 0:
        raise Conflict("More than was spent cannot be refunded.", refundable=to_number(refundable, scale))
    if book.is_capped:
        spending_caps.give_back(book, wanted, spent_at)
    returned = _return_to_lots(book, transaction_id, refunded_before, wanted, spent_at)
    refund_id = book.write(
        Line(
            "refund", wanted, actor, returned.allocations, made=returned.made, related_id=transaction_id,
            task_id=task_id, description=description or "Refund of usage",
            grant_id=returned.made[0].grant_id if len(returned.made) == 1 else None,
        )
    )  # fmt: skip
    for grant_id, owed, is_subscription in returned.to_revoke:
        write_revocation(book, grant_id, owed, -owed, is_subscription, actor)
    settle_due(book)
    book.close()
    pairs = [(grant_id, part) for grant_id, part, _ in returned.allocations]
    return RefundReceipt(refund_id, wanted, book.balance, pairs, scale)


@dataclass(slots=True)
class _Returned:
    allocations: list[tuple[int, int, bool]]
    made: list[LotFacts]
    to_revoke: list[tuple[int, int, bool]]


def _return_to_lots(book: Book, transaction_id: int, skip: int, amount: int, spent_at: int) -> _Returned:
    """Fill the paying lots in reverse order, past what earlier refunds have filled."""
    returned = _Returned([], [], [])
    for row in PAYING_LOTS.all(transaction_id=transaction_id):
        lot = _PayingLot(*row)
        skipped = min(skip, lot.paid)
        part = min(lot.paid - skipped, amount)
        skip -= skipped
        amount -= part
        if part:
            _return_part(book, returned, lot, part, spent_at)
    assert amount == 0, "a line's allocations are less than its amount"
    return returned


def _return_part(book: Book, returned: _Returned, lot: _PayingLot, part: int, spent_at: int) -> None:
    """Into the lot itself while it lives; what an expired lot gets back becomes a lot of its own."""
    is_subscription = bool(lot.is_subscription)
    owed = min(part, lot.unrecovered)
    is_alive = lot.expires_at is None or lot.expires_at > book.now_at
    to_lot = part if is_alive else owed
    if to_lot:
        RETURN_TO_LOT.run(grant_id=lot.grant_id, part=to_lot).close()
        returned.allocations.append((lot.grant_id, to_lot, is_subscription))
        book.note_expiry(lot.expires_at if is_alive else None)
    if owed:
        returned.to_revoke.append((lot.grant_id, owed, is_subscription))
    if part > to_lot:
        left = max((lot.expires_at or 0) - spent_at, SHORTEST_REFUND_LOT_MICROSECONDS)
        made = book.make_lot(
            NewLot("refund", part - to_lot, lot.priority, book.now_at + left, is_subscription, lot.grant_id)
        )
        returned.made.append(made)
        returned.allocations.append((made.grant_id, made.amount, is_subscription))


@dataclass(frozen=True, slots=True)
class Revocation:
    """What taking a payment's credits back did, in units over all its lots; negative: they were given back."""

    revoked: int
    unrecovered: int


@dataclass(frozen=True, slots=True)
class _BoughtLot:
    grant_id: int
    amount: int
    free: int
    taken_before: int
    is_subscription: bool
    unrecovered: int
    expires_at: int | None


@atomic
def revoke_payment_credits(
    account_id: int, payment_id: int, refunded_cents: int, paid_cents: int, actor: str
) -> Revocation:
    """Take back the credits of what was refunded of a payment, as far as they are unspent.

    Units: cents are minor units; ``refunded_cents`` is cumulative, so a repeated call takes nothing more, and
    a smaller one gives back what was taken for a refund that failed later. Idempotent. What was spent already
    is kept on the lot as ``unrecovered``.
    """
    assert 0 <= refunded_cents <= paid_cents
    revoked = unrecovered = 0
    lock_accounts(account_id)
    for row in LOTS_OF_PAYMENT.all(payment_id=payment_id):
        book = open_book(row[6], row[5])
        lot = _lot_again(payment_id, row[0])
        due = refunded_cents * lot.amount // paid_cents - lot.taken_before if paid_cents else 0
        part = min(due, lot.free) if due > 0 else min(due + lot.unrecovered, 0)
        write_revocation(book, lot.grant_id, part, due - part, lot.is_subscription, actor)
        if part < 0:
            book.note_expiry(lot.expires_at)  # what comes back to a lot that is over ends at once
            settle_due(book)
        revoked += part
        unrecovered += due - part
        book.close()
    return Revocation(revoked, unrecovered)


def _lot_again(payment_id: int, grant_id: int) -> _BoughtLot:
    """The lot as it is after its account was locked and settled."""
    row = next(row for row in LOTS_OF_PAYMENT.all(payment_id=payment_id) if row[0] == grant_id)
    return _BoughtLot(*row[:4], bool(row[4]), row[7], row[8])

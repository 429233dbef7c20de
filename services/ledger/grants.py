"""Credits that come in: each makes one lot and one line."""

from dataclasses import dataclass
from datetime import datetime

from errors import InvalidRequest
from services.clock import to_microseconds
from services.ledger.book import Book, Line, NewLot
from services.ledger.opening import open_book
from services.money import check_amount
from services.unit_of_work import atomic

EXPIRING_PRIORITY = 100
PERMANENT_PRIORITY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """Credits to grant. ``amount`` in units; ``source`` is also the line's type."""

    account_id: int
    credit_type: str
    amount: int
    source: str
    actor: str
    expires_at: datetime | None = None
    priority: int | None = None
    description: str = ""
    task_id: str | None = None
    payment_method: str | None = None
    payment_id: int | None = None
    details: str | None = None


@dataclass(frozen=True, slots=True)
class GrantReceipt:
    """What a grant did, in units."""

    grant_id: int
    transaction_id: int
    amount: int
    balance_after: int
    scale: int


@atomic
def grant_credits(incoming: Incoming) -> GrantReceipt:
    """Grant credits: one lot, one line, the balance.

    Raises InvalidRequest (expires_at not in the future, priority), BalanceLimit, NotFound, AccountFrozen
    where the account is parked.
    """
    book = open_book(incoming.account_id, incoming.credit_type)
    receipt = write_grant(book, incoming)
    book.close()
    return receipt


def write_grant(book: Book, incoming: Incoming) -> GrantReceipt:
    """Make the lot and write its line on an open book."""
    check_amount(incoming.amount)
    expires_at = to_microseconds(incoming.expires_at) if incoming.expires_at else None
    if expires_at is not None and expires_at <= book.now_at:
        raise InvalidRequest.of("expires_at", "must be in the future")
    priority = incoming.priority
    if priority is None:
        priority = PERMANENT_PRIORITY if expires_at is None else EXPIRING_PRIORITY
    if not 0 <= priority <= 1000:
        raise InvalidRequest.of("priority", "must be between 0 and 1000")
    is_subscription = incoming.source == "subscription"
    made = book.make_lot(
        NewLot(incoming.source, incoming.amount, priority, expires_at, is_subscription,
               payment_id=incoming.payment_id)
    )  # fmt: skip
    transaction_id = book.write(
        Line(
            incoming.source,
            incoming.amount,
            incoming.actor,
            [(made.grant_id, incoming.amount, is_subscription)],
            made=[made],
            grant_id=made.grant_id,
            task_id=incoming.task_id,
            description=incoming.description,
            payment_method=incoming.payment_method,
            details=incoming.details,
        )
    )
    return GrantReceipt(made.grant_id, transaction_id, incoming.amount, book.balance, book.scale)

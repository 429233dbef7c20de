"""What ends by itself: holds that time out and lots that expire.

A lot can be spent while ``now < expires_at``. Its expiry writes off what remains less what open holds
reserve; the reserved part expires the moment its hold ends. Source: docs/ledger.md, expiry.
"""

from sqlalchemy import bindparam, func, insert, select, update

from models.ledger import Allocation, Grant, Hold, HoldLot, Transaction
from services.ledger.book import Book, Line
from services.ledger.revocations import write_revocation
from services.statements import Statement

ACTOR = "job:expire-grants"
_grants = Grant.__table__.c
_holds = Hold.__table__.c
_lots = HoldLot.__table__.c
_lines = Transaction.__table__.c

TIMED_OUT_HOLDS = Statement(
    select(_holds.id, _holds.amount, _holds.expires_at)
    .where(
        _holds.account_id == bindparam("account_id"),
        _holds.credit_type_id == bindparam("credit_type_id"),
        _holds.status == "open",
        _holds.expires_at <= bindparam("now_at"),
    )
    .order_by(_holds.expires_at, _holds.id)
    .limit(bindparam("most"))
)
CLOSE_HOLD = Statement(
    update(Hold.__table__)
    .where(_holds.id == bindparam("hold_id"))
    .values(
        status=bindparam("new_status"),
        captured=bindparam("taken"),
        closed_at=bindparam("now_at"),
        transaction_id=bindparam("line_id"),
    )
)
RESERVED_LOTS = Statement(
    select(_lots.grant_id, _lots.amount, _grants.is_subscription, _grants.expires_at, _grants.unrecovered)
    .join_from(HoldLot.__table__, Grant.__table__, _grants.id == _lots.grant_id)
    .where(_lots.hold_id == bindparam("hold_id"))
    .order_by(_lots.position)
)
UNRESERVE = Statement(
    update(Grant.__table__)
    .where(_grants.id == bindparam("grant_id"))
    .values(held=_grants.held - bindparam("reserved"), remaining=_grants.remaining - bindparam("taken"))
)
EXPIRED_LOTS = Statement(
    select(_grants.id, _grants.remaining - _grants.held, _grants.is_subscription)
    .where(
        _grants.account_id == bindparam("account_id"),
        _grants.credit_type_id == bindparam("credit_type_id"),
        _grants.remaining > 0,
        _grants.expires_at <= bindparam("now_at"),
        _grants.remaining > _grants.held,
    )
    .order_by(_grants.expires_at, _grants.id)
    .limit(bindparam("most"))
)
WRITE_OFF_EXPIRED = Statement(
    update(Grant.__table__)
    .where(_grants.id == bindparam("of_grant"))
    .values(remaining=_grants.remaining - bindparam("part"))
)
INSERT_LINES = Statement(
    insert(Transaction.__table__).values(
        {column.name: bindparam(column.name) for column in _lines if column.name != "id"}
    )
)
# Lines of one lot name it, so their allocations can follow in one statement whatever ids they were given.
ALLOCATE_LINES = Statement(
    insert(Allocation.__table__).from_select(
        ["transaction_id", "position", "grant_id", "amount"],
        select(_lines.id, 0, _lines.grant_id, _lines.amount).where(
            _lines.account_id == bindparam("account_id"),
            _lines.credit_type_id == bindparam("credit_type_id"),
            _lines.sequence > bindparam("after_sequence"),
        ),
    )
)
NEXT_LOT_EXPIRY = Statement(
    select(func.min(_grants.expires_at)).where(
        _grants.account_id == bindparam("account_id"),
        _grants.credit_type_id == bindparam("credit_type_id"),
        _grants.remaining > 0,
        _grants.expires_at > bindparam("now_at"),
    )
)
NEXT_HOLD_EXPIRY = Statement(
    select(func.min(_holds.expires_at)).where(
        _holds.account_id == bindparam("account_id"),
        _holds.credit_type_id == bindparam("credit_type_id"),
        _holds.status == "open",
        _holds.expires_at > bindparam("now_at"),
    )
)
NO_LIMIT = 2**31 - 1


def settle_due(book: Book, most: int = NO_LIMIT) -> int:
    """End what is due on an open book and return how many lots expired; the caller closes the book.

    With ``most`` (holds, and lots) the rest stays due.
    """
    due_at = book.kept["next_expiry_at"]
    if due_at is None or due_at > book.now_at:
        return 0
    ended = time_out_holds(book, most)
    expired = expire_lots(book, most)
    if ended < most and expired < most:
        book.kept["next_expiry_at"] = _next_expiry(book)
    else:
        book.note_expiry(due_at)
    return expired


def time_out_holds(book: Book, most: int = NO_LIMIT) -> int:
    """Close holds whose time is over and return how many; what they reserved returns to its lots."""
    ended = TIMED_OUT_HOLDS.all(**_of(book), now_at=book.now_at, most=most)
    for hold_id, amount, _ in ended:
        unreserve(book, hold_id, amount)
        CLOSE_HOLD.run(
            hold_id=hold_id, new_status="expired", taken=0, now_at=book.now_at, line_id=None
        ).close()
    return len(ended)


def unreserve(book: Book, hold_id: int, amount: int, capture: int = 0) -> list[tuple[int, int, bool]]:
    """Undo a hold's reservation, taking ``capture`` units of it in burn order.

    Returns the allocations of what was taken. What returns to a lot that owes credits of a refunded payment
    is taken back; what returns to a lot that has expired meanwhile is due at once: the caller settles the
    book after writing the capture.
    """
    allocations = []
    missing = capture
    book.kept["held"] -= amount
    for grant_id, reserved, is_subscription, expires_at, unrecovered in RESERVED_LOTS.all(hold_id=hold_id):
        taken = min(reserved, missing)
        missing -= taken
        UNRESERVE.run(grant_id=grant_id, reserved=reserved, taken=taken).close()
        if taken:
            allocations.append((grant_id, -taken, bool(is_subscription)))
        owed = min(reserved - taken, unrecovered)
        if owed:
            write_revocation(book, grant_id, owed, -owed, bool(is_subscription), ACTOR)
        if taken < reserved:
            book.note_expiry(expires_at)
    assert missing == 0, "a hold reserves less than it says"
    return allocations


def expire_lots(book: Book, most_lots: int = NO_LIMIT) -> int:
    """Write one expiry line per lot that is due, in bulk, and return how many."""
    due = EXPIRED_LOTS.all(**_of(book), now_at=book.now_at, most=most_lots)
    if not due:
        return 0
    after_sequence = book.kept["last_sequence"]
    lines, parts = [], []
    for grant_id, part, is_subscription in due:
        lines.append(
            book.prepared(
                Line("expiry", -part, ACTOR, [(grant_id, -part, bool(is_subscription))], grant_id=grant_id,
                     description="Credits expired")
            )
        )  # fmt: skip
        parts.append({"of_grant": grant_id, "part": part})
    INSERT_LINES.run_many(lines)
    ALLOCATE_LINES.run(**_of(book), after_sequence=after_sequence).close()
    WRITE_OFF_EXPIRED.run_many(parts)
    return len(due)


def _next_expiry(book: Book) -> int | None:
    """The soonest instant after now at which a lot or hold of an open book ends."""
    found = (
        NEXT_LOT_EXPIRY.first(**_of(book), now_at=book.now_at),
        NEXT_HOLD_EXPIRY.first(**_of(book), now_at=book.now_at),
    )
    return min((row[0] for row in found if row and row[0] is not None), default=None)


def _of(book: Book) -> dict[str, int]:
    return {"account_id": book.account_id, "credit_type_id": book.credit_type_id}

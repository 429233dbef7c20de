"""Spending caps: what an account allows itself to spend of a credit type in a calendar month of its zone.

The cap and the count of the month lie on the balance row, which a spend reads and locks anyway; an account
without a cap pays for one look at it. Open holds keep room for their capture; dispute holds are no spending.
Source: docs/ledger.md, spending cap.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, bindparam, func, select, type_coerce, update

from errors import InvalidRequest, SpendingCapReached
from models.accounts import Account
from models.catalog import CreditType
from models.ledger import Balance, Hold, Transaction
from services.audit import record
from services.clock import business_now, from_microseconds, iso, to_microseconds
from services.ledger.book import LIMITS, Book
from services.ledger.opening import open_book
from services.money import MAX_UNITS, to_number
from services.periods import calendar_month
from services.statements import Statement
from services.unit_of_work import atomic

_accounts, _types = Account.__table__.c, CreditType.__table__.c
_balances, _holds = Balance.__table__.c, Hold.__table__.c
_lines = Transaction.__table__.c
_undone = Transaction.__table__.alias("undone").c
_of_page = {"account_id": bindparam("account_id"), "credit_type_id": bindparam("credit_type_id")}
_starts_at, _ends_at = (bindparam(name, type_=BigInteger) for name in ("starts_at", "ends_at"))

WRITE_CAP = Statement(
    update(Balance.__table__)
    .where(_balances.account_id == bindparam("of_account"), _balances.credit_type_id == bindparam("of_type"))
    .values({name: bindparam(name) for name in LIMITS})
)
TIME_ZONE = Statement(select(_accounts.time_zone).where(_accounts.id == bindparam("account_id")))
HELD_TO_SPEND = Statement(
    select(func.coalesce(func.sum(_holds.amount), 0)).where(
        _holds.account_id == _of_page["account_id"],
        _holds.credit_type_id == _of_page["credit_type_id"],
        _holds.status == "open",
        _holds.payment_id.is_(None),
    )
)
SPENT = Statement(
    select(func.coalesce(-func.sum(_lines.amount), 0)).where(
        _lines.account_id == _of_page["account_id"],
        _lines.credit_type_id == _of_page["credit_type_id"],
        _lines.type == "usage",
        type_coerce(_lines.created_at, BigInteger) >= _starts_at,
        type_coerce(_lines.created_at, BigInteger) < _ends_at,
    )
)
# A refund comes after its spend, so only lines since the month began can undo one of that month.
UNDONE = Statement(
    select(func.coalesce(func.sum(_lines.amount), 0))
    .join_from(Transaction.__table__, _undone.id.table, _undone.id == _lines.related_id)
    .where(
        _lines.account_id == _of_page["account_id"],
        _lines.credit_type_id == _of_page["credit_type_id"],
        _lines.type == "refund",
        type_coerce(_lines.created_at, BigInteger) >= _starts_at,
        type_coerce(_undone.created_at, BigInteger) >= _starts_at,
        type_coerce(_undone.created_at, BigInteger) < _ends_at,
    )
)
CAPS = Statement(
    select(
        _types.id, _types.code, _types.name, _types.scale, _types.is_money, _types.currency,
        *(type_coerce(_balances[name], BigInteger) for name in LIMITS),
    )
    .join_from(Balance.__table__, CreditType.__table__, _types.id == _balances.credit_type_id)
    .where(_balances.account_id == bindparam("account_id"), _balances.spending_cap.is_not(None))
    .order_by(_types.position, _types.id)
)  # fmt: skip
CAPPED = Statement(
    select(_balances.account_id)
    .where(_balances.spending_cap.is_not(None))
    .distinct()
    .order_by(_balances.account_id)
)


@dataclass(frozen=True, slots=True)
class SpendingCap:
    """What an account may spend of a credit type this month. Amounts in units.

    ``reserved`` is what open holds may still capture; both count against the cap.
    """

    credit_type_id: int
    credit_type: str
    name: str
    scale: int
    is_money: bool
    currency: str | None
    cap: int
    used: int
    reserved: int
    resets_at: datetime

    @property
    def left(self) -> int:
        """What may still be spent or held this month."""
        return max(self.cap - self.used - self.reserved, 0)

    @property
    def percent(self) -> int:
        """How much of the cap is spent, in whole per cent."""
        return self.used * 100 // self.cap


def require_room(book: Book, amount: int) -> None:
    """Raises SpendingCapReached where a capped book may not spend so many units more this month."""
    _turn_month(book)
    kept = book.kept
    reserved = _held_to_spend(book.account_id, book.credit_type_id) if book.held else 0
    left = max(kept["spending_cap"] - kept["cap_used"] - reserved, 0)
    if amount > left:
        raise SpendingCapReached(
            "The spending cap of this month leaves less than this costs.",
            required=to_number(amount, book.scale), left=to_number(left, book.scale),
            cap=to_number(kept["spending_cap"], book.scale), credit_type=book.credit_type,
            resets_at=iso(from_microseconds(kept["cap_ends_at"])),
        )  # fmt: skip


def count(book: Book, amount: int) -> None:
    """Count units about to be spent; before their line is written."""
    _turn_month(book)
    book.kept["cap_used"] += amount
    _write(book)


def give_back(book: Book, amount: int, spent_at: int) -> None:
    """Give room back for a refund about to be written, where its spend is of this month.

    Units: ``spent_at`` in microseconds.
    """
    _turn_month(book)
    if book.kept["cap_starts_at"] <= spent_at < book.kept["cap_ends_at"]:
        book.kept["cap_used"] -= amount
    _write(book)


@atomic
def set_spending_cap(account_id: int, credit_type: str, units: int | None, actor: str) -> None:
    """Spend no more than so many units of a credit type in a calendar month; None: no cap.

    What was spent this month counts. Raises InvalidRequest, NotFound, AccountFrozen (parked).
    """
    if units is not None and not 1 <= units <= MAX_UNITS:
        raise InvalidRequest.of("spending_cap", "must be more than zero")
    book = open_book(account_id, credit_type)
    book.close()  # there may be no row yet
    if units == book.kept["spending_cap"]:
        return
    book.kept |= dict.fromkeys(LIMITS) | {"spending_cap": units}
    if units is not None:
        _count_month(book)
    _write(book)
    record("spending_cap.set", actor, account_id, credit_type=credit_type, units=units)


def spending_caps(account_id: int) -> list[SpendingCap]:
    """The caps that an account has set, as they stand now."""
    now_at = to_microseconds(business_now())
    found = []
    for type_id, code, name, scale, is_money, currency, cap, used, starts_at, ends_at in CAPS.all(
        account_id=account_id
    ):
        if not starts_at <= now_at < ends_at:
            starts_at, ends_at = _month(account_id, business_now())
            used = _spent(account_id, type_id, starts_at, ends_at)
        reserved = _held_to_spend(account_id, type_id)
        found.append(
            SpendingCap(
                type_id, code, name, scale, bool(is_money), currency, cap, used, reserved,
                from_microseconds(ends_at),
            )
        )  # fmt: skip
    return found


def capped_accounts() -> list[int]:
    """The accounts that have set a cap of anything."""
    return [row[0] for row in CAPPED.all()]


def _turn_month(book: Book) -> None:
    """Begin the count of a new month, where the one counted is over (or the clock was turned back)."""
    kept = book.kept
    if not kept["cap_starts_at"] <= book.now_at < kept["cap_ends_at"]:
        _count_month(book)


def _count_month(book: Book) -> None:
    starts_at, ends_at = _month(book.account_id, book.now)
    book.kept |= {
        "cap_used": _spent(book.account_id, book.credit_type_id, starts_at, ends_at),
        "cap_starts_at": starts_at,
        "cap_ends_at": ends_at,
    }


def _month(account_id: int, now: datetime) -> tuple[int, int]:
    row = TIME_ZONE.first(account_id=account_id)
    assert row is not None
    starts_at, ends_at = calendar_month(now, row[0])
    return to_microseconds(starts_at), to_microseconds(ends_at)


def _spent(account_id: int, credit_type_id: int, starts_at: int, ends_at: int) -> int:
    """Usage of a month less what was refunded of it, by the journal."""
    of = {
        "account_id": account_id, "credit_type_id": credit_type_id, "starts_at": starts_at, "ends_at": ends_at,
    }  # fmt: skip
    spent, undone = SPENT.first(**of), UNDONE.first(**of)
    assert spent is not None and undone is not None
    return int(spent[0]) - int(undone[0])


def _held_to_spend(account_id: int, credit_type_id: int) -> int:
    row = HELD_TO_SPEND.first(account_id=account_id, credit_type_id=credit_type_id)
    assert row is not None
    return int(row[0])


def _write(book: Book) -> None:
    WRITE_CAP.defer(
        of_account=book.account_id, of_type=book.credit_type_id, **{name: book.kept[name] for name in LIMITS}
    )

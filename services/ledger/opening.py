"""Opening a book: lock the account, load its page, book what is due on it."""

from sqlalchemy import bindparam, select

from errors import AccountFrozen, CofferError, InvalidRequest, NotFound
from extensions import db
from models.accounts import Account
from models.catalog import CreditType
from models.ledger import Balance
from services.clock import business_now
from services.ledger.book import READ, Book
from services.ledger.expiry import settle_due
from services.statements import Statement

_accounts = Account.__table__.c
_types = CreditType.__table__.c
_balances = Balance.__table__.c
LOCK_ACCOUNT = Statement(
    select(_accounts.id).where(_accounts.id == bindparam("account_id")).with_for_update(key_share=True)
)
READ_BOOK = Statement(
    select(_accounts.status, _types.id, _types.code, _types.scale, *(_balances[name] for name in READ))
    .select_from(
        Account.__table__.join(CreditType.__table__, _types.code == bindparam("code")).outerjoin(
            Balance.__table__,
            (_balances.account_id == _accounts.id) & (_balances.credit_type_id == _types.id),
        )
    )
    .where(_accounts.id == bindparam("account_id"))
)


def lock_accounts(*account_ids: int) -> None:
    """Lock account rows in id order. On SQLite the write transaction is the lock.

    A statement of its own: under READ COMMITTED a join would read the other tables as they were before
    the wait for the lock. It is NO KEY UPDATE: a row that refers to the account (a payment, an order) takes a
    share lock on its key, and two units that each had inserted one would wait for each other.
    """
    if db.engine.dialect.name == "sqlite":
        return
    for account_id in sorted(set(account_ids)):
        LOCK_ACCOUNT.run(account_id=account_id).close()


def open_book(account_id: int, credit_type: str, *, for_spending: bool = False) -> Book:
    """Lock the account, load its page and book what is due on it.

    Raises NotFound, InvalidRequest (unknown credit type), AccountFrozen where the status forbids it.
    """
    if db.engine.dialect.name != "sqlite":
        LOCK_ACCOUNT.defer(account_id=account_id)
    row = READ_BOOK.first(account_id=account_id, code=credit_type)
    if row is None:
        raise _missing(account_id, credit_type)
    book = Book(account_id, row, business_now())
    if book.status == "parked":
        raise AccountFrozen("The account is parked: its ledger failed a proof; it can only be read.")
    if for_spending and book.status == "frozen":
        raise AccountFrozen("The account is frozen: nothing new can be spent, held or bought.")
    settle_due(book)
    return book


def _missing(account_id: int, credit_type: str) -> CofferError:
    known = db.session.scalar(select(_types.id).where(_types.code == credit_type))
    if known is None:
        return InvalidRequest.of("credit_type", f"there is no credit type {credit_type!r}")
    return NotFound("There is no such account.")

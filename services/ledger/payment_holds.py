"""Credits of a disputed payment: what is left of its lots is set aside until the dispute is decided.

The account itself stays open. Source: docs/ledger.md, refund of a payment.
"""

from sqlalchemy import bindparam, select

from models.catalog import CreditType
from models.ledger import Grant, Hold
from services.ledger.expiry import CLOSE_HOLD, settle_due, unreserve
from services.ledger.holds import INSERT_HOLD, INSERT_HOLD_LOT, RESERVE
from services.ledger.opening import lock_accounts, open_book
from services.statements import Statement
from services.unit_of_work import atomic

_grants = Grant.__table__.c
_holds = Hold.__table__.c
FREE_LOTS = Statement(
    select(_grants.id, CreditType.code, _grants.remaining - _grants.held)
    .join_from(Grant.__table__, CreditType.__table__, CreditType.id == _grants.credit_type_id)
    .where(_grants.payment_id == bindparam("payment_id"), _grants.remaining > _grants.held)
    .order_by(_grants.id)
)
OPEN_HOLDS = Statement(
    select(_holds.id, CreditType.code, _holds.amount)
    .join_from(Hold.__table__, CreditType.__table__, CreditType.id == _holds.credit_type_id)
    .where(_holds.payment_id == bindparam("payment_id"), _holds.status == "open")
    .order_by(_holds.id)
)


@atomic
def hold_payment_credits(account_id: int, payment_id: int, actor: str) -> int:
    """Set aside what is free of a payment's lots; how many units. Idempotent: what is set aside stays so."""
    held = 0
    lock_accounts(account_id)
    for grant_id, credit_type, _ in FREE_LOTS.all(payment_id=payment_id):
        book = open_book(account_id, credit_type)
        free = next((row[2] for row in FREE_LOTS.all(payment_id=payment_id) if row[0] == grant_id), 0)
        if free:
            cursor = INSERT_HOLD.run(
                account_id=account_id, credit_type_id=book.credit_type_id, status="open", amount=free,
                captured=0, task_id=None, description="The payment is disputed", actor=actor,
                created_at=book.now_at, expires_at=None, closed_at=None, transaction_id=None,
                payment_id=payment_id,
            )  # fmt: skip
            hold_id = cursor.fetchone()[0]
            cursor.close()
            RESERVE.run(grant_id=grant_id, part=free).close()
            INSERT_HOLD_LOT.run(hold_id=hold_id, position=0, grant_id=grant_id, amount=free).close()
            book.kept["held"] += free
            held += free
        book.close()
    return held


@atomic
def release_payment_credits(account_id: int, payment_id: int) -> int:
    """Give what was set aside for a dispute back to its lots; how many units. Idempotent."""
    released = 0
    lock_accounts(account_id)
    for hold_id, credit_type, amount in OPEN_HOLDS.all(payment_id=payment_id):
        book = open_book(account_id, credit_type)
        unreserve(book, hold_id, amount)
        CLOSE_HOLD.run(
            hold_id=hold_id, new_status="released", taken=0, now_at=book.now_at, line_id=None
        ).close()
        settle_due(book)
        book.close()
        released += amount
    return released

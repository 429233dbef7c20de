"""How many decimal digits an amount may have: of a credit type, of a line's."""

from sqlalchemy import bindparam, select

from errors import InvalidRequest, NotFound
from models.catalog import CreditType
from models.ledger import Transaction
from services.statements import Statement

_types = CreditType.__table__.c
_lines = Transaction.__table__.c
SCALE = Statement(select(_types.scale).where(_types.code == bindparam("code")))
SCALE_OF_LINE = Statement(
    select(_types.scale)
    .join_from(CreditType.__table__, Transaction.__table__, _lines.credit_type_id == _types.id)
    .where(_lines.id == bindparam("transaction_id"), _lines.account_id == bindparam("account_id"))
)


def scale_of(credit_type: str) -> int:
    """Decimal digits of a credit type. Raises InvalidRequest where there is no such type."""
    row = SCALE.first(code=credit_type)
    if row is None:
        raise InvalidRequest.of("credit_type", f"there is no credit type {credit_type!r}")
    return row[0]


def scale_of_line(account_id: int, transaction_id: int) -> int:
    """Decimal digits of the credit type of an account's line. Raises NotFound."""
    row = SCALE_OF_LINE.first(account_id=account_id, transaction_id=transaction_id)
    if row is None:
        raise NotFound("There is no such transaction.")
    return row[0]

"""Credits from one account to another: two lines, one transaction, lots without expiry only."""

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from errors import InsufficientCredits, InvalidRequest
from models.ledger import Grant
from services.ledger.book import Book, Line, NewLot
from services.ledger.burn_down import Draw, Lot, draws
from services.ledger.debits import DRAW
from services.ledger.grants import PERMANENT_PRIORITY
from services.ledger.opening import lock_accounts, open_book
from services.money import check_amount, to_number
from services.statements import Statement
from services.unit_of_work import atomic

_grants = Grant.__table__.c
PERMANENT_LOTS = Statement(
    select(_grants.id, _grants.remaining - _grants.held, _grants.is_subscription)
    .where(
        _grants.account_id == bindparam("account_id"),
        _grants.credit_type_id == bindparam("credit_type_id"),
        _grants.remaining > _grants.held,
        _grants.expires_at.is_(None),
    )
    .order_by(_grants.priority, _grants.created_at, _grants.id)
)


@dataclass(frozen=True, slots=True)
class TransferReceipt:
    """What a transfer did, in units. ``transaction_id`` is the giving account's line."""

    transaction_id: int
    received_transaction_id: int
    from_balance: int
    to_balance: int
    scale: int


@atomic
def transfer_credits(
    from_account_id: int, to_account_id: int, credit_type: str, amount: int, actor: str, description: str = ""
) -> TransferReceipt:
    """Move permanent credits between accounts.

    Units: the credit type's smallest. Raises InvalidRequest (same account), InsufficientCredits where the
    lots without expiry hold less, AccountFrozen, NotFound, BalanceLimit.
    """
    if from_account_id == to_account_id:
        raise InvalidRequest.of("to", "must be another account than from")
    check_amount(amount)
    lock_accounts(from_account_id, to_account_id)
    giver = open_book(from_account_id, credit_type, for_spending=True)
    taker = open_book(to_account_id, credit_type)
    drawn = _draw_permanent(giver, amount)
    given_id = giver.write(
        Line(
            "transfer", -amount, actor, [(d.grant_id, -d.amount, d.is_subscription) for d in drawn],
            description=description or "Transfer out",
        )
    )  # fmt: skip
    made = [
        taker.make_lot(NewLot("transfer", d.amount, PERMANENT_PRIORITY, None, False, d.grant_id))
        for d in drawn
    ]
    taken_id = taker.write(
        Line(
            "transfer", amount, actor, [(lot.grant_id, lot.amount, False) for lot in made], made=made,
            related_id=given_id, grant_id=made[0].grant_id if len(made) == 1 else None,
            description=description or "Transfer in",
        )
    )  # fmt: skip
    giver.close()
    taker.close()
    return TransferReceipt(given_id, taken_id, giver.balance, taker.balance, giver.scale)


def _draw_permanent(giver: Book, amount: int) -> list[Draw]:
    rows = PERMANENT_LOTS.all(account_id=giver.account_id, credit_type_id=giver.credit_type_id)
    lots = [Lot(grant_id, free, bool(is_subscription)) for grant_id, free, is_subscription in rows]
    transferable = sum(lot.free for lot in lots)
    if amount > transferable:
        raise InsufficientCredits(
            "Only credits that do not expire can be transferred.",
            required=to_number(amount, giver.scale),
            available=to_number(transferable, giver.scale),
            credit_type=giver.credit_type,
        )
    drawn = draws(lots, amount)
    for draw in drawn:
        DRAW.run(grant_id=draw.grant_id, part=draw.amount).close()
    return drawn

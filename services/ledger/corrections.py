"""What an operator gives or takes by hand: a bonus, or an adjustment up or down, written into the audit log."""

from dataclasses import dataclass
from datetime import datetime

from errors import InvalidRequest
from services import audit
from services.ledger.debits import Spend, adjust_down
from services.ledger.grants import Incoming, grant_credits
from services.unit_of_work import atomic

CORRECTIONS = ("bonus", "up", "down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Credits to give (``bonus``, ``up``) or take (``down``). ``amount`` in units, always positive."""

    account_id: int
    kind: str
    credit_type: str
    amount: int
    actor: str
    description: str = ""
    expires_at: datetime | None = None


@atomic
def correct_balance(correction: Correction) -> int:
    """Book a correction as one line; its id.

    Raises InvalidRequest naming ``kind``, ``amount`` or ``expires_at``, InsufficientCredits, BalanceLimit,
    NotFound, AccountFrozen where the account is parked.
    """
    if correction.kind not in CORRECTIONS:
        raise InvalidRequest.of("kind", f"must be one of {', '.join(CORRECTIONS)}")
    transaction_id = _taken(correction) if correction.kind == "down" else _given(correction)
    audit.record(
        "credits.corrected",
        correction.actor,
        correction.account_id,
        kind=correction.kind,
        credit_type=correction.credit_type,
        amount_units=correction.amount,
        transaction_id=transaction_id,
    )
    return transaction_id


def _given(correction: Correction) -> int:
    return grant_credits(
        Incoming(
            account_id=correction.account_id,
            credit_type=correction.credit_type,
            amount=correction.amount,
            source="bonus" if correction.kind == "bonus" else "adjustment",
            actor=correction.actor,
            expires_at=correction.expires_at,
            description=correction.description,
        )
    ).transaction_id


def _taken(correction: Correction) -> int:
    if correction.expires_at is not None:
        raise InvalidRequest.of("expires_at", "has no meaning where credits are taken away")
    return adjust_down(
        Spend(
            account_id=correction.account_id,
            credit_type=correction.credit_type,
            amount=correction.amount,
            actor=correction.actor,
            description=correction.description,
        )
    ).transaction_id

"""What calls answer. Amounts are ``int``, or ``Decimal`` where they have digits after the point."""

from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, TypeVar

Amount = int | Decimal
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account has of one credit type; ``available`` is the balance less what is held."""

    account: str
    type: str
    balance: Amount
    held: Amount
    available: Amount
    formatted: str


@dataclass(frozen=True, slots=True)
class Deduction:
    """Credits taken; ``transaction_id`` is what a refund names."""

    transaction_id: int
    deducted: Amount
    balance_before: Amount
    balance_after: Amount


@dataclass(frozen=True, slots=True)
class Refund:
    """Credits given back to the lots that paid."""

    transaction_id: int
    refunded: Amount
    balance_after: Amount


@dataclass(frozen=True, slots=True)
class Count:
    """Usage counted; ``limit`` and ``remaining`` are None where the plan has none."""

    meter: str
    used: int
    limit: int | None
    remaining: int | None
    credits_used: Amount


@dataclass(frozen=True, slots=True)
class Estimate:
    """What priced actions would cost, and whether there is enough."""

    amount: Amount
    type: str
    available: Amount
    sufficient: bool
    lines: list[dict[str, Any]]


def picked(kind: type[Answer], answer: dict[str, Any]) -> Answer:
    """The fields that we know of an answer: a newer instance may send more."""
    return kind(**{field.name: answer[field.name] for field in fields(kind)})  # type: ignore[arg-type]

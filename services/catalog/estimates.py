"""What a job will cost, from the catalogue's priced actions, and whether the account can pay it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from errors import InvalidRequest
from extensions import db
from models.catalog import PricedAction
from services.catalog.catalogs import catalog_of
from services.ledger.balances import balance_of
from services.money import MAX_UNITS, check_limit


@dataclass(frozen=True, slots=True)
class ActionView:
    """Something that costs so many credits each. Units: ``credits`` in the smallest unit of the type."""

    code: str
    name: str
    credits: int
    credit_type: str
    scale: int


@dataclass(frozen=True, slots=True)
class EstimateLine:
    """One action so many times. Units: ``amount`` in the smallest unit of the type."""

    code: str
    name: str
    quantity: int
    amount: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job costs and what is there. Units: the smallest of the credit type."""

    amount: int
    credit_type: str
    scale: int
    available: int
    lines: tuple[EstimateLine, ...]

    @property
    def is_sufficient(self) -> bool:
        """Whether the account can pay it now."""
        return self.amount <= self.available

    @property
    def missing(self) -> int:
        """How much is not there."""
        return max(self.amount - self.available, 0)


def actions_of(account_id: int) -> list[ActionView]:
    """The priced actions of the account's catalogue. Raises NotFound."""
    catalog = catalog_of(account_id)
    if catalog is None:
        return []
    rows = db.session.scalars(
        select(PricedAction)
        .where(PricedAction.catalog_id == catalog.id, PricedAction.archived_at.is_(None))
        .options(joinedload(PricedAction.credit_type))
        .order_by(PricedAction.position, PricedAction.id)
    )
    return [
        ActionView(row.code, row.name, row.credits, row.credit_type.code, row.credit_type.scale)
        for row in rows
    ]


def estimate(account_id: int, items: Sequence[tuple[str, int]]) -> Estimate:
    """What so many of each action cost together, all in one credit type.

    Raises InvalidRequest naming the item, NotFound, BalanceLimit where it is beyond counting.
    """
    actions = {action.code: action for action in actions_of(account_id)}
    lines: list[EstimateLine] = []
    types: list[ActionView] = []
    for position, (code, quantity) in enumerate(items):
        action = actions.get(code)
        if action is None:
            raise InvalidRequest.of(f"items.{position}.price", f"there is no priced action {code!r}")
        if not 1 <= quantity <= MAX_UNITS:
            raise InvalidRequest.of(f"items.{position}.quantity", "must be a whole number from 1")
        if types and types[0].credit_type != action.credit_type:
            raise InvalidRequest.of(
                f"items.{position}.price", f"costs {action.credit_type}, the others {types[0].credit_type}"
            )
        types.append(action)
        lines.append(EstimateLine(code, action.name, quantity, action.credits * quantity))
    if not types:
        raise InvalidRequest.of("items", "name at least one action")
    amount = sum(line.amount for line in lines)
    check_limit(amount)
    position = balance_of(account_id, types[0].credit_type)
    return Estimate(amount, position.credit_type, position.scale, position.available, tuple(lines))

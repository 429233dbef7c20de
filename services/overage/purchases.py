"""Buying credits now and paying later: granted at once, charged when the cycle ends.

Source: docs/overage.md, buying.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from errors import (
    AccountFrozen,
    AccountPastDue,
    FieldError,
    IdempotencyKeyReused,
    InvalidRequest,
    OverageLimitReached,
    PriceChanged,
)
from extensions import db
from models.accounts import Account
from models.billing import SavedCard
from models.catalog import CreditType
from models.overage import OverageOrder, OveragePurchase
from services.agencies.pricing import OveragePrice, prices_for
from services.clock import business_now
from services.ledger.grants import Incoming, grant_credits
from services.ledger.opening import lock_accounts
from services.overage.cycles import cycle_around
from services.overage.terms import Terms, terms_of
from services.unit_of_work import atomic

MAX_QUANTITY = 10**9
MAX_TOTAL_CENTS = 10**12


@dataclass(frozen=True, slots=True)
class Offer:
    """What an account may buy, at prices that hold as long as ``quote`` does."""

    prices: tuple[OveragePrice, ...]
    quote: str
    currency: str


@dataclass(frozen=True, slots=True)
class BoughtLine:
    """Units: ``credits`` in the smallest unit of the type, cents in minor units."""

    code: str
    name: str
    scale: int
    credits: int
    quantity: int
    unit_price_cents: int
    price_cents: int


@dataclass(frozen=True, slots=True)
class OverageReceipt:
    """What was bought. ``charged_at``: the end of the cycle."""

    order_id: str
    lines: tuple[BoughtLine, ...]
    total_cents: int
    currency: str
    purchased_at: datetime
    charged_at: datetime


@dataclass(frozen=True, slots=True)
class Owed:
    """What an account owes and may still owe. Units: minor units; None: no limit.

    ``unbilled_cents`` waits for the end of a cycle, ``charged_cents`` was asked for and is not paid yet.
    """

    unbilled_cents: int
    charged_cents: int
    limit_cents: int | None
    currency: str
    next_charge_at: datetime

    @property
    def total_cents(self) -> int:
        """All of it."""
        return self.unbilled_cents + self.charged_cents

    @property
    def left_cents(self) -> int | None:
        """What may be bought until the limit; None: no limit."""
        return None if self.limit_cents is None else max(self.limit_cents - self.total_cents, 0)


def overage_offer(account_id: int) -> Offer:
    """What an account may buy now. Raises NotFound."""
    prices = tuple(prices_for(account_id))
    currency = db.session.get_one(Account, account_id).currency
    return Offer(prices, _quote(prices, currency), currency)


def overage_owed(account_id: int) -> Owed:
    """What an account owes for credits bought now and paid later."""
    account, terms = db.session.get_one(Account, account_id), terms_of(account_id)
    unbilled, charged = 0, 0
    for is_charged, cents in db.session.execute(
        select(OveragePurchase.charge_id.is_not(None), func.sum(OveragePurchase.price_cents))
        .where(
            OveragePurchase.client_account_id == account_id,
            OveragePurchase.billed_to_client_at.is_(None),
            OveragePurchase.written_off_at.is_(None),
        )
        .group_by(OveragePurchase.charge_id.is_not(None))
    ):
        charged, unbilled = (int(cents), unbilled) if is_charged else (charged, int(cents))
    cycle = cycle_around(business_now(), terms.cycle_day, account.time_zone)
    return Owed(unbilled, charged, terms.owed_limit_cents, account.currency, cycle.end)


@atomic
def buy_overage(
    account_id: int, quantities: dict[str, int], quote: str, *, request_key: str, actor: str,
    requires_card: bool = False,
) -> OverageReceipt:  # fmt: skip
    """Buy whole credits of one or several types: all granted in one unit, or nothing.

    Units: ``quantities`` in whole credits; zeros are left out. ``quote``: of the prices that the buyer saw.
    Idempotent by ``request_key``. Raises InvalidRequest (quantities, quote), PriceChanged with the prices that
    hold now, OverageLimitReached with what is left, AccountFrozen, AccountPastDue, IdempotencyKeyReused.
    """
    lock_accounts(account_id)
    wanted = {code: quantity for code, quantity in quantities.items() if quantity}
    known = _order_of(account_id, request_key)
    if known is not None:
        if known.request_hash != _request_hash(wanted, quote):
            raise IdempotencyKeyReused()
        return _receipt(known)
    account, terms = db.session.get_one(Account, account_id, populate_existing=True), terms_of(account_id)
    _check_account(account, requires_card)
    offer = overage_offer(account_id)
    chosen = _chosen(wanted, offer)
    if quote != offer.quote:
        raise PriceChanged("A price has changed since you saw it; nothing was bought.", **_shown(offer))
    total = sum(price.price_cents * quantity for price, quantity in chosen)
    _check_limit(account_id, total)
    order = OverageOrder(
        public_id=secrets.token_hex(12), account_id=account_id, request_key=request_key,
        request_hash=_request_hash(wanted, quote), total_cents=total, currency=account.currency, actor=actor,
        purchased_at=business_now(),
    )  # fmt: skip
    db.session.add(order)
    db.session.flush()
    for price, quantity in chosen:
        _buy_one(order, account, terms, price, quantity)
    db.session.flush()
    return _receipt(order)


def overage_purchases_of(account_id: int, limit: int = 100) -> list[OverageReceipt]:
    """What an account bought, newest first."""
    orders = db.session.scalars(
        select(OverageOrder)
        .where(OverageOrder.account_id == account_id)
        .order_by(OverageOrder.id.desc())
        .limit(limit)
    )
    return [_receipt(order) for order in orders]


def _check_account(account: Account, requires_card: bool) -> None:
    if account.status in ("frozen", "parked"):
        raise AccountFrozen("The account is frozen: nothing new can be bought.")
    if account.status == "past_due":
        raise AccountPastDue("A payment is overdue: pay it before you buy more that is paid later.")
    if requires_card and db.session.get(SavedCard, account.id) is None:
        raise InvalidRequest.of("card", "is needed before credits can be paid for later")


def _chosen(wanted: dict[str, int], offer: Offer) -> list[tuple[OveragePrice, int]]:
    sold = {price.code: price for price in offer.prices}
    problems = [
        FieldError(f"quantities.{code}", "is not sold to this account" if code not in sold else _TOO_MANY)
        for code, quantity in wanted.items()
        if code not in sold or not 0 < quantity <= MAX_QUANTITY
    ]
    if not wanted:
        problems = [FieldError("quantities", "must hold at least one quantity above zero")]
    if problems:
        raise InvalidRequest(*problems)
    chosen = [(price, wanted[price.code]) for price in offer.prices if price.code in wanted]
    if sum(price.price_cents * quantity for price, quantity in chosen) > MAX_TOTAL_CENTS:
        raise InvalidRequest.of("quantities", "come to more than can be charged")
    return chosen


_TOO_MANY = f"must be a whole number from 1 to {MAX_QUANTITY}"


def _check_limit(account_id: int, total_cents: int) -> None:
    owed = overage_owed(account_id)
    if owed.left_cents is not None and total_cents > owed.left_cents:
        raise OverageLimitReached(
            "This would go beyond what may be owed.", required_cents=total_cents, left_cents=owed.left_cents,
            limit_cents=owed.limit_cents, currency=owed.currency,
        )  # fmt: skip


def _buy_one(order: OverageOrder, account: Account, terms: Terms, price: OveragePrice, quantity: int) -> None:
    seller = terms_of(account.agency_id) if account.agency_id is not None else Terms()
    units = quantity * 10**price.scale
    receipt = grant_credits(
        Incoming(
            account_id=account.id, credit_type=price.code, amount=units, source="overage", actor=order.actor,
            description=f"{price.name}, paid later", task_id=order.public_id,
        )
    )  # fmt: skip
    db.session.add(
        OveragePurchase(
            order_id=order.id, client_account_id=account.id, agency_account_id=account.agency_id,
            credit_type_id=price.credit_type_id, credits=units, unit_price_cents=price.price_cents,
            price_cents=price.price_cents * quantity, unit_cost_cents=price.cost_cents,
            cost_cents=price.cost_cents * quantity, currency=account.currency,
            settlement_mode=seller.settlement_mode, grant_id=receipt.grant_id, purchased_at=order.purchased_at,
            charge_at=cycle_around(order.purchased_at, terms.cycle_day, account.time_zone).end,
        )
    )  # fmt: skip


def _order_of(account_id: int, request_key: str) -> OverageOrder | None:
    return db.session.scalar(
        select(OverageOrder).where(
            OverageOrder.account_id == account_id, OverageOrder.request_key == request_key
        )
    )


def _receipt(order: OverageOrder) -> OverageReceipt:
    lines = tuple(
        BoughtLine(
            code=row.credit_type.code, name=row.credit_type.name, scale=row.credit_type.scale,
            credits=row.credits, quantity=row.credits // 10**row.credit_type.scale,
            unit_price_cents=row.unit_price_cents, price_cents=row.price_cents,
        )
        for row in db.session.scalars(
            select(OveragePurchase)
            .join(CreditType, CreditType.id == OveragePurchase.credit_type_id)
            .where(OveragePurchase.order_id == order.id)
            .order_by(CreditType.position, CreditType.id)
        )
    )  # fmt: skip
    charged_at = db.session.scalar(
        select(func.min(OveragePurchase.charge_at)).where(OveragePurchase.order_id == order.id)
    )
    return OverageReceipt(
        order.public_id, lines, order.total_cents, order.currency, order.purchased_at,
        charged_at or order.purchased_at,
    )  # fmt: skip


def _quote(prices: tuple[OveragePrice, ...], currency: str) -> str:
    """What names these prices: the same prices have the same quote, other ones another."""
    text = json.dumps([currency, *([price.code, price.price_cents] for price in prices)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _shown(offer: Offer) -> dict[str, object]:
    prices = [{"type": price.code, "price_cents": price.price_cents} for price in offer.prices]
    return {"prices": prices, "quote": offer.quote, "currency": offer.currency}


def _request_hash(wanted: dict[str, int], quote: str) -> str:
    return hashlib.sha256(json.dumps([sorted(wanted.items()), quote]).encode()).hexdigest()

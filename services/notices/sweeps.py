"""What is noticed by looking, not when it happens: low balances, credits about to expire, paid purchases.

Looking every few minutes keeps spends and webhooks as quick as they are; the key of each crossing makes sure
that it is told once. Source: docs/notices.md.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, func, select

from extensions import db
from models.accounts import Account
from models.billing import Payment
from models.catalog import CreditType
from models.ledger import Balance, Grant
from models.notices import LowBalance, Notice
from services.clock import business_now, iso, wall_now
from services.events.publishing import publish
from services.ledger.balances import balance_of
from services.ledger.opening import lock_accounts
from services.ledger.spending_caps import SpendingCap, capped_accounts, spending_caps
from services.money import to_number
from services.notices.notices import notify
from services.unit_of_work import atomic

EXPIRING_DAYS = 7
CAP_STEPS = (80, 100)
A_CHUNK = 500


def sweep_all() -> int:
    """Tell whatever is to be told; how many notices. Idempotent."""
    return sweep_low_balances() + sweep_spending_caps() + sweep_expiring() + sweep_receipts()


def sweep_low_balances() -> int:
    """Accounts that fell below their threshold since they were above it."""
    rows = db.session.execute(select(LowBalance.account_id, LowBalance.credit_type_id)).all()
    return sum(_look_at(account_id, type_id) for account_id, type_id in rows)


@atomic
def _look_at(account_id: int, credit_type_id: int) -> bool:
    lock_accounts(account_id)
    row = db.session.get(LowBalance, (account_id, credit_type_id), populate_existing=True)
    counted = db.session.get_one(CreditType, credit_type_id)
    if row is None:
        return False
    available = balance_of(account_id, counted.code).available
    is_below = available < row.threshold
    has_fallen, row.is_below = is_below and not row.is_below, is_below
    if not has_fallen:
        return False
    row.crossings += 1
    # The instant too: a threshold that was taken away and set again counts anew.
    key = f"low:{credit_type_id}:{row.crossings}:{iso(business_now())}"
    data = {
        "credit_type": counted.code, "available": to_number(available, counted.scale),
        "threshold": to_number(row.threshold, counted.scale),
    }  # fmt: skip
    publish(account_id, "credits.low", key, data)
    return notify(
        account_id, "low_balance", key, credit_type=counted.code, name=counted.name,
        scale=counted.scale, available=available, threshold=row.threshold,
    )  # fmt: skip


def sweep_spending_caps() -> int:
    """Caps of which 80 or 100 % are spent: each step once a month and cap."""
    return sum(
        _tell_of_cap(account_id, cap)
        for account_id in capped_accounts()
        for cap in spending_caps(account_id)
        if cap.percent >= CAP_STEPS[0]
    )


def _tell_of_cap(account_id: int, cap: SpendingCap) -> bool:
    step = max(step for step in CAP_STEPS if cap.percent >= step)
    key = f"cap:{cap.credit_type_id}:{iso(cap.resets_at)}:{cap.cap}:{step}"
    return notify(
        account_id, "spending_cap", key, credit_type=cap.credit_type, name=cap.name, scale=cap.scale,
        step=step, used=cap.used, cap=cap.cap, resets_at=iso(cap.resets_at),
    )  # fmt: skip


def sweep_expiring() -> int:
    """Credits that expire within a week and were not told of: once per account, type and day of theirs."""
    lots: dict[tuple[int, str], list[_Expiring]] = {}
    for row in db.session.execute(_expiring_soon()):
        lot = _Expiring(*row)
        lots.setdefault((lot.account_id, lot.key), []).append(lot)
    told = _told({account_id for account_id, _ in lots})
    return sum(
        _tell_expiring(same_day, key) for (who, key), same_day in lots.items() if (who, key) not in told
    )


@dataclass(frozen=True, slots=True)
class _Expiring:
    """Credits of an account and type that expire at one instant."""

    account_id: int
    time_zone: str
    credit_type_id: int
    code: str
    name: str
    scale: int
    expires_at: datetime
    amount: int

    @property
    def key(self) -> str:
        return (
            f"expiring:{self.credit_type_id}:{self.expires_at.astimezone(ZoneInfo(self.time_zone)):%Y-%m-%d}"
        )


def _expiring_soon() -> Select[Any]:
    """By instant. The soonest expiry that each balance keeps leads to the accounts."""
    now = business_now()
    until = now + timedelta(days=EXPIRING_DAYS)
    same_type = (Grant.account_id == Balance.account_id) & (Grant.credit_type_id == Balance.credit_type_id)
    what = (
        Grant.account_id, Account.time_zone, Grant.credit_type_id, CreditType.code, CreditType.name,
        CreditType.scale, Grant.expires_at,
    )  # fmt: skip
    return (
        select(*what, func.sum(Grant.remaining))
        .select_from(Balance)
        .join(Grant, same_type)
        .join(Account, Account.id == Balance.account_id)
        .join(CreditType, CreditType.id == Balance.credit_type_id)
        .where(
            Balance.next_expiry_at <= until, Grant.expires_at > now, Grant.expires_at <= until,
            Grant.remaining > 0,
        )
        .group_by(*what)
        .order_by(Grant.account_id, Grant.credit_type_id, Grant.expires_at)
    )  # fmt: skip


def _told(account_ids: set[int]) -> set[tuple[int, str]]:
    """What was told of expiring credits lately, so that nothing is locked and written for it again."""
    found: set[tuple[int, str]] = set()
    since, wanted = business_now() - timedelta(days=2 * EXPIRING_DAYS), sorted(account_ids)
    for start in range(0, len(wanted), A_CHUNK):
        rows = db.session.execute(
            select(Notice.account_id, Notice.dedupe_key).where(
                Notice.account_id.in_(wanted[start : start + A_CHUNK]), Notice.kind == "credits_expiring",
                Notice.created_at >= since,
            )
        )  # fmt: skip
        found.update((account_id, key) for account_id, key in rows)
    return found


@atomic
def _tell_expiring(lots: list[_Expiring], key: str) -> bool:
    first, amount = lots[0], sum(int(lot.amount) for lot in lots)
    if not notify(
        first.account_id, "credits_expiring", key, credit_type=first.code, name=first.name, scale=first.scale,
        amount=amount, expires_at=iso(first.expires_at),
    ):  # fmt: skip
        return False
    data = {
        "credit_type": first.code, "amount": to_number(amount, first.scale), "expires_at": iso(first.expires_at)
    }  # fmt: skip
    publish(first.account_id, "credits.expiring", key, data)
    return True


def sweep_receipts() -> int:
    """Payments made that nobody was told of, however long ago."""
    waiting = db.session.scalars(
        select(Payment.id)
        .where(Payment.paid_at.is_not(None), Payment.receipt_told_at.is_(None), Payment.kind != "overage")
        .order_by(Payment.id)
    ).all()
    return sum(_tell_receipt(payment_id) for payment_id in waiting)


@atomic
def _tell_receipt(payment_id: int) -> bool:
    payment = db.session.get_one(Payment, payment_id)
    lock_accounts(payment.account_id)
    db.session.refresh(payment)
    if payment.receipt_told_at is not None:
        return False
    payment.receipt_told_at = wall_now()
    return notify(
        payment.account_id, "purchase_receipt", f"payment:{payment.public_id}", payment=payment.public_id,
        what=payment.description, amount_cents=payment.amount_cents, currency=payment.currency,
    )  # fmt: skip

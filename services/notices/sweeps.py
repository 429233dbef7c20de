"""What is noticed by looking, not when it happens: low balances, credits about to expire, paid purchases.

Looking every few minutes keeps spends and webhooks as quick as they are; the key of each crossing makes sure
that it is told once. Source: docs/notices.md.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from extensions import db
from models.billing import Payment
from models.catalog import CreditType
from models.ledger import Grant
from models.notices import LowBalance, Notice
from services.clock import business_now, iso
from services.events.publishing import publish
from services.ledger.balances import balance_of
from services.ledger.opening import lock_accounts
from services.ledger.spending_caps import SpendingCap, capped_accounts, spending_caps
from services.money import to_number
from services.notices.notices import notify
from services.unit_of_work import atomic

EXPIRING_DAYS = 7
RECEIPT_DAYS = 2
CAP_STEPS = (80, 100)


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
    """Credits that expire within a week and were not told of, by account, type and instant."""
    now = business_now()
    rows = db.session.execute(
        select(
            Grant.account_id, Grant.credit_type_id, Grant.expires_at, CreditType.code, CreditType.name,
            CreditType.scale, func.sum(Grant.remaining),
        )
        .join(CreditType, CreditType.id == Grant.credit_type_id)
        .where(
            Grant.expires_at > now, Grant.expires_at <= now + timedelta(days=EXPIRING_DAYS),
            Grant.remaining > 0,
        )
        .group_by(
            Grant.account_id, Grant.credit_type_id, Grant.expires_at, CreditType.code, CreditType.name,
            CreditType.scale,
        )
    ).all()  # fmt: skip
    return sum(
        _tell_expiring(
            account_id, f"expiring:{type_id}:{iso(expires_at)}", credit_type=code, name=name, scale=scale,
            amount=int(amount), expires_at=iso(expires_at),
        )
        for account_id, type_id, expires_at, code, name, scale, amount in rows
    )  # fmt: skip


@atomic
def _tell_expiring(account_id: int, key: str, **facts: Any) -> bool:
    if not notify(account_id, "credits_expiring", key, **facts):
        return False
    data = {
        "credit_type": facts["credit_type"], "amount": to_number(facts["amount"], facts["scale"]),
        "expires_at": facts["expires_at"],
    }  # fmt: skip
    publish(account_id, "credits.expiring", key, data)
    return True


def sweep_receipts() -> int:
    """Payments made lately that nobody was told of."""
    told = select(Notice.id).where(
        Notice.account_id == Payment.account_id, Notice.dedupe_key == "payment:" + Payment.public_id
    )
    rows = db.session.execute(
        select(
            Payment.account_id, Payment.public_id, Payment.description, Payment.amount_cents, Payment.currency
        ).where(
            Payment.paid_at >= business_now() - timedelta(days=RECEIPT_DAYS), Payment.status == "paid",
            Payment.kind != "overage", ~told.exists(),
        )
    ).all()  # fmt: skip
    return sum(
        notify(
            account_id, "purchase_receipt", f"payment:{public_id}", payment=public_id, what=words,
            amount_cents=cents, currency=currency,
        )
        for account_id, public_id, words, cents, currency in rows
    )  # fmt: skip

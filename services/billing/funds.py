"""Money that comes into a wallet by other ways than Checkout: by hand, or by a payment made already.

Each is one payment, one lot and one journal line in one unit, unique on the outside reference or the payment
intent. Source: docs/ledger.md, idempotency.
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import select

from errors import Conflict, InvalidRequest
from extensions import db
from gateways.payments import IntentFacts, Payments, UnknownToProvider
from models.accounts import Account
from models.billing import Payment
from services.billing.announcements import publish_payment
from services.catalog.wallets import Wallet, wallet_of
from services.clock import business_now
from services.ledger.grants import GrantReceipt, Incoming, grant_credits
from services.ledger.opening import lock_accounts
from services.unit_of_work import atomic


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """Money to add. Units: ``amount`` in units of the wallet."""

    account_id: int
    amount: int
    actor: str
    description: str = ""


@atomic
def add_funds_by_hand(funding: Funding, reference: str | None) -> GrantReceipt:
    """Add money that came in elsewhere: a bank transfer, cash. ``reference`` names it, once and for all.

    Raises Conflict where the reference is taken, InvalidRequest, AccountFrozen (parked), BalanceLimit.
    """
    wallet = wallet_of(funding.account_id)
    lock_accounts(funding.account_id)
    taken = select(Payment.id).where(Payment.outside_reference == reference)
    if reference is not None and db.session.scalar(taken) is not None:
        raise Conflict(f"The payment {reference!r} has been added already.")
    return _credit(funding, wallet, "manual", outside_reference=reference)


def add_funds_of_intent(funding: Funding, intent_id: str, payments: Payments) -> GrantReceipt:
    """Add the money of a payment intent that has succeeded.

    Raises InvalidRequest naming what does not agree: the intent is unknown, of another account, amount or
    currency, not paid, or used already. Raises PaymentProviderUnavailable.
    """
    try:
        intent = payments.payment_intent(intent_id)
    except UnknownToProvider:
        raise InvalidRequest.of("payment_intent_id", "is not known to the payment provider") from None
    return _add_intent(funding, intent, is_live=payments.terms.is_live)


@atomic
def _add_intent(funding: Funding, intent: IntentFacts, *, is_live: bool) -> GrantReceipt:
    wallet = wallet_of(funding.account_id)
    lock_accounts(funding.account_id)
    account = db.session.get_one(Account, funding.account_id)
    _check_intent(intent, account, wallet.cents_of_units(funding.amount), wallet.currency, is_live)
    used = select(Payment.id).where(Payment.stripe_payment_intent_id == intent.id)
    if db.session.scalar(used) is not None:
        raise InvalidRequest.of("payment_intent_id", "was used already")
    return _credit(funding, wallet, "stripe", stripe_payment_intent_id=intent.id)


def _check_intent(intent: IntentFacts, account: Account, cents: int, currency: str, is_live: bool) -> None:
    is_theirs = intent.account in (account.public_id, account.slug, account.external_id) and intent.account
    if not is_theirs and (intent.customer_id is None or intent.customer_id != account.stripe_customer_id):
        raise InvalidRequest.of("payment_intent_id", "is not a payment of this account")
    if intent.order_id is not None:
        raise InvalidRequest.of("payment_intent_id", "belongs to a Checkout, which credits it by itself")
    if intent.status != "succeeded" or intent.is_live != is_live:
        raise InvalidRequest.of("payment_intent_id", "has not succeeded")
    if intent.currency != currency:
        raise InvalidRequest.of("payment_intent_id", f"was paid in {intent.currency.upper()}")
    if intent.amount_cents != cents:
        raise InvalidRequest.of("amount", "is not what the payment intent paid")


def _credit(funding: Funding, wallet: Wallet, method: str, **reference: str | None) -> GrantReceipt:
    now = business_now()
    payment = Payment(
        public_id=secrets.token_hex(12),
        account_id=funding.account_id,
        kind="manual" if method == "manual" else "funds",
        description=funding.description or f"Funds for {wallet.name}",
        amount_cents=wallet.cents_of_units(funding.amount),
        currency=wallet.currency,
        status="paid",
        created_at=now,
        paid_at=now,
        **reference,
    )
    db.session.add(payment)
    db.session.flush()
    publish_payment(payment.id)
    return grant_credits(
        Incoming(
            account_id=funding.account_id,
            credit_type=wallet.code,
            amount=funding.amount,
            source="purchase",
            actor=funding.actor,
            description=payment.description,
            payment_method=method,
            payment_id=payment.id,
        )
    )

"""Charges: what a cycle's purchases come to, demanded once; who owes what, and how a demand ends.

Source: docs/overage.md, charges.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from babel.numbers import format_currency
from sqlalchemy import select

from extensions import db
from models.accounts import Account
from models.catalog import CreditType
from models.ledger import Grant
from models.overage import OPEN_CHARGES, Charge, OveragePurchase, Statement
from services.clock import business_now
from services.ledger.opening import lock_accounts
from services.money import currency_digits, from_units
from services.overage.cycles import cycle_around
from services.overage.terms import terms_of
from services.unit_of_work import atomic

# Stripe, "Minimum and maximum charge amounts"; elsewhere about half a dollar's worth.
MINIMUM_CENTS = {
    "usd": 50,
    "eur": 50,
    "gbp": 30,
    "jpy": 50,
    "krw": 500,
    "inr": 50,
    "brl": 50,
    "cad": 50,
    "aud": 50,
}
DEFAULT_MINIMUM_CENTS = 50


@dataclass(frozen=True, slots=True)
class ChargeView:
    """A charge as who owes it sees it. Units: minor units."""

    id: str
    account_id: int
    kind: str
    status: str
    amount_cents: int
    currency: str
    lines: tuple[tuple[str, int], ...]
    hosted_invoice_url: str | None
    failure: str | None
    cycle_end: datetime
    next_attempt_at: datetime | None
    created_at: datetime
    closed_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it is still owed."""
        return self.status in OPEN_CHARGES


def charge_view(row: Charge) -> ChargeView:
    """A row as a view."""
    return ChargeView(
        row.public_id, row.account_id, row.kind, row.status, row.amount_cents, row.currency,
        tuple((words, cents) for words, cents in json.loads(row.lines)),
        row.hosted_invoice_url if row.status in OPEN_CHARGES else None, row.failure, row.cycle_end,
        row.next_attempt_at, row.created_at, row.closed_at,
    )  # fmt: skip


def open_charges_of(account_id: int) -> list[ChargeView]:
    """What an account was asked for and has not paid, oldest first."""
    rows = db.session.scalars(
        select(Charge)
        .where(Charge.account_id == account_id, Charge.status.in_(OPEN_CHARGES))
        .order_by(Charge.id)
    )
    return [charge_view(row) for row in rows]


def make_due_charges() -> int:
    """Make the charges of every cycle that is over; how many. Idempotent: a purchase is in one charge."""
    due = db.session.scalars(
        select(OveragePurchase.client_account_id).where(*_due(business_now())).distinct()
    ).all()
    return sum(_charge_client(client_id) for client_id in due)


def _due(now: datetime) -> tuple[object, ...]:
    """Purchases whose cycle is over and that nobody was asked for. An agency that bills itself asks itself."""
    return (
        OveragePurchase.charge_at <= now, OveragePurchase.charge_id.is_(None),
        OveragePurchase.billed_to_client_at.is_(None), OveragePurchase.written_off_at.is_(None),
        OveragePurchase.settlement_mode != "own_billing",
    )  # fmt: skip


@atomic
def _charge_client(client_id: int) -> int:
    lock_accounts(client_id)
    now, made = business_now(), 0
    client = db.session.get_one(Account, client_id)
    due = db.session.scalars(
        select(OveragePurchase)
        .where(OveragePurchase.client_account_id == client_id, *_due(now))
        .order_by(OveragePurchase.id)
    ).all()
    groups: dict[tuple[str, int | None], list[OveragePurchase]] = defaultdict(list)
    for row in due:
        # What goes to a connected account is another demand than what its owner collects.
        seller = row.agency_account_id if row.settlement_mode == "connected" else None
        groups[row.settlement_mode, seller].append(row)
    for (mode, agency_id), rows in groups.items():
        total = sum(row.price_cents for row in rows)
        if total == 0:
            for row in rows:
                row.billed_to_client_at = now
        elif total < MINIMUM_CENTS.get(client.currency, DEFAULT_MINIMUM_CENTS):
            _carry_over(client, rows, now)
        else:
            made += _charge(client, rows, agency_id if mode == "connected" else None, now)
    return made


def _carry_over(client: Account, rows: list[OveragePurchase], now: datetime) -> None:
    """Too little to be charged: it waits for the end of the next cycle."""
    end = cycle_around(now, terms_of(client.id).cycle_day, client.time_zone).end
    for row in rows:
        row.charge_at = end


def _charge(client: Account, rows: list[OveragePurchase], agency_id: int | None, now: datetime) -> int:
    total, cost = sum(row.price_cents for row in rows), sum(row.cost_cents for row in rows)
    destination = terms_of(agency_id).connected_account if agency_id is not None else None
    bought = sorted({row.order.public_id for row in rows})
    charge = open_charge(
        client, "client", charge_lines(rows, client), max(row.charge_at for row in rows), now,
        of=["client", client.public_id, rows[0].settlement_mode, str(destination), *bought],
        destination=destination, application_fee_cents=min(cost, total) if destination else 0,
    )  # fmt: skip
    for row in rows:
        row.charge_id = charge.id
    return 1


def open_charge(
    account: Account, kind: str, lines: list[tuple[str, int]], cycle_end: datetime, now: datetime, *, of: list[str],
    destination: str | None = None, application_fee_cents: int = 0,
) -> Charge:  # fmt: skip
    """Write a demand for money down, inside the caller's unit; it is tried at the next occasion.

    ``of``: what it charges, by random ids. They make its own id, so that a database that was restored demands
    the same thing under the same name, and finds the invoice that it does not remember.
    """
    name = hashlib.sha256("\n".join(of).encode()).hexdigest()[:32]
    charge = Charge(
        public_id=name, account_id=account.id, kind=kind, status="pending",
        amount_cents=sum(cents for _, cents in lines), currency=account.currency, lines=json.dumps(lines),
        destination=destination, application_fee_cents=application_fee_cents, cycle_end=cycle_end,
        next_attempt_at=now, created_at=now,
    )  # fmt: skip
    db.session.add(charge)
    db.session.flush()
    return charge


def charge_lines(rows: Iterable[OveragePurchase], account: Account) -> list[tuple[str, int]]:
    """A line for each credit type and price: in words, and minor units."""
    sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        entry = sums[row.credit_type_id, row.unit_price_cents]
        entry[0] += row.credits
        entry[1] += row.price_cents
    lines = []
    for (type_id, unit_cents), (credits, cents) in sorted(sums.items()):
        kind = db.session.get_one(CreditType, type_id)
        unit = format_currency(
            from_units(unit_cents, currency_digits(account.currency)),
            account.currency.upper(),
            locale=account.locale,
        )
        lines.append((f"{kind.name}: {credits // 10**kind.scale} × {unit}", cents))
    return lines


def purchases_of_charge(charge: Charge) -> list[OveragePurchase]:
    """What a charge demands the money of."""
    column = OveragePurchase.charge_id == charge.id
    if charge.kind == "agency":
        from_statement = select(Statement.id).where(Statement.charge_id == charge.id)
        column = OveragePurchase.statement_id.in_(from_statement) & (
            OveragePurchase.settlement_mode == "own_billing"
        )
    return list(db.session.scalars(select(OveragePurchase).where(column).order_by(OveragePurchase.id)))


def link_grants(rows: Iterable[OveragePurchase], payment_id: int) -> None:
    """Say of the lots which payment paid them, so that its refund takes them back."""
    for row in rows:
        grant = db.session.get_one(Grant, row.grant_id)
        grant.payment_id = payment_id

"""Statements: what an agency owes or is owed for a cycle, frozen when it is issued.

A statement lists every purchase of its cycle once. What is due to the agency for a purchase follows from what
was collected and given back of it; each statement gives the difference to what earlier ones gave.
Source: docs/overage.md, statements.
"""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import or_, select

from errors import Conflict, NotFound
from extensions import db
from models.accounts import Account
from models.catalog import CreditType
from models.overage import (
    Charge,
    OveragePurchase,
    Statement,
    StatementLine,
    StatementSettlement,
)
from services.audit import record
from services.clock import business_now, iso
from services.ledger.opening import lock_accounts
from services.overage.charges import DEFAULT_MINIMUM_CENTS, MINIMUM_CENTS, open_charge
from services.overage.cycles import Cycle, cycle_around
from services.overage.terms import terms_of
from services.unit_of_work import atomic


@dataclass
class _Sums:
    """What a line adds up."""

    credits: int = 0
    price_cents: int = 0
    cost_cents: int = 0
    collected_cents: int = 0
    due_cents: int = 0


@dataclass
class _Draft:
    """A statement in the making."""

    agency: Account
    cycle: Cycle
    lines: dict[tuple[str, int, int, str], _Sums] = field(default_factory=lambda: defaultdict(_Sums))
    listed: list[OveragePurchase] = field(default_factory=list)
    settled: dict[int, int] = field(default_factory=dict)
    own_billing_cents: int = 0


def issue_due_statements() -> int:
    """Issue the statement of every agency's cycle that is over; how many. Idempotent: one for each cycle."""
    agencies = db.session.scalars(
        select(OveragePurchase.agency_account_id)
        .where(OveragePurchase.agency_account_id.is_not(None))
        .distinct()
    ).all()
    return sum(_issue_for(agency_id) for agency_id in agencies if agency_id is not None)


def _issue_for(agency_id: int) -> int:
    """Cycle after cycle, from the first that has something to say."""
    agency, now, issued = db.session.get_one(Account, agency_id), business_now(), 0
    day = terms_of(agency_id).cycle_day
    current = cycle_around(now, day, agency.time_zone)
    open_moments = db.session.scalars(
        select(OveragePurchase.purchased_at)
        .where(
            OveragePurchase.agency_account_id == agency_id, OveragePurchase.statement_id.is_(None),
            OveragePurchase.purchased_at < current.start,
        )
        .order_by(OveragePurchase.purchased_at)
    ).all()  # fmt: skip
    cycles = {cycle_around(moment, day, agency.time_zone) for moment in open_moments}
    cycles.add(cycle_around(current.start - (current.end - current.start) / 60, day, agency.time_zone))
    for cycle in sorted(cycles, key=lambda each: each.start):
        issued += _issue(agency_id, cycle)
    return issued


@atomic
def _issue(agency_id: int, cycle: Cycle) -> bool:
    lock_accounts(agency_id)
    known = select(Statement.id).where(
        Statement.agency_account_id == agency_id, Statement.cycle_end > cycle.start
    )
    if db.session.scalar(known.limit(1)) is not None:
        return False
    agency = db.session.get_one(Account, agency_id)
    draft = _Draft(agency, cycle)
    for row in _rows(agency_id, cycle):
        _enter(draft, row)
    if not draft.lines:
        return False
    _write(draft)
    return True


def _rows(agency_id: int, cycle: Cycle) -> list[OveragePurchase]:
    """Purchases of the cycle, or left over by an earlier one, and earlier ones whose due may have changed."""
    return list(
        db.session.scalars(
            select(OveragePurchase)
            .where(
                OveragePurchase.agency_account_id == agency_id,
                OveragePurchase.purchased_at < cycle.end,
                or_(
                    OveragePurchase.statement_id.is_(None),
                    OveragePurchase.billed_to_client_at.is_not(None)
                    & (OveragePurchase.settlement_mode != "own_billing"),
                ),
            )
            .order_by(OveragePurchase.id)
            .with_for_update()
        )
    )


def _enter(draft: _Draft, row: OveragePurchase) -> None:
    is_new = row.statement_id is None
    due = due_to_agency(row)
    change = due - row.settled_due_cents
    if not is_new and change == 0:
        return
    kind = "purchase" if is_new else "refund" if row.settled_due_cents != 0 else "collected"
    sums = draft.lines[kind, row.client_account_id, row.credit_type_id, row.settlement_mode]
    if is_new:
        sums.credits += row.credits
        sums.price_cents += row.price_cents
        sums.cost_cents += row.cost_cents
        draft.listed.append(row)
        if row.settlement_mode == "own_billing":
            draft.own_billing_cents += row.cost_cents
    if row.billed_to_client_at is not None and row.settlement_mode != "own_billing" and kind != "refund":
        sums.collected_cents += row.price_cents - row.refunded_cents
    sums.due_cents += change
    draft.settled[row.id] = due


def due_to_agency(row: OveragePurchase) -> int:
    """What the agency gets for a purchase as it stands: margin on collected money; negative: from it.

    Units: minor units. With a connected account the money is there already, but for a cost beyond the total.
    """
    if row.billed_to_client_at is None or row.settlement_mode == "own_billing":
        return 0
    if row.settlement_mode == "connected" and not _fee_fell_short(row.charge_id):
        return 0
    margin = row.price_cents - row.cost_cents
    if row.price_cents == 0:
        return margin
    return margin - margin * row.refunded_cents // row.price_cents


def _fee_fell_short(charge_id: int | None) -> bool:
    """Whether a charge came to less than its cost, so that the fee could not cover it."""
    if charge_id is None:  # nothing was charged at all: its price was zero
        return True
    charge = db.session.get_one(Charge, charge_id)
    costs = db.session.scalars(
        select(OveragePurchase.cost_cents).where(OveragePurchase.charge_id == charge_id)
    )
    return charge.application_fee_cents < sum(costs)


def _write(draft: _Draft) -> None:
    now, agency = business_now(), draft.agency
    minimum = MINIMUM_CENTS.get(agency.currency, DEFAULT_MINIMUM_CENTS)
    is_charged = draft.own_billing_cents >= minimum
    public_id = hashlib.sha256(f"{agency.public_id}\n{iso(draft.cycle.start)}".encode()).hexdigest()[:32]
    charge = _charge_cost(draft, public_id, now) if is_charged else None
    if not is_charged:  # too little for a charge: it is taken off what the agency is owed
        for key, sums in draft.lines.items():
            if key[0] == "purchase" and key[3] == "own_billing":
                sums.due_cents -= sums.cost_cents
    statement = Statement(
        public_id=public_id, agency_account_id=agency.id, cycle_start=draft.cycle.start,
        cycle_end=draft.cycle.end, currency=agency.currency, issued_at=now,
        due_to_agency_cents=sum(sums.due_cents for sums in draft.lines.values()),
        charged_to_agency_cents=draft.own_billing_cents if is_charged else 0,
        charge_id=charge.id if charge is not None else None,
    )  # fmt: skip
    db.session.add(statement)
    db.session.flush()
    _write_lines(statement, draft)
    for row in draft.listed:
        row.statement_id = statement.id
        if row.settlement_mode == "own_billing":
            row.billed_to_client_at = row.billed_to_client_at or now  # handed over to the agency
    for row_id, due in draft.settled.items():
        db.session.get_one(OveragePurchase, row_id).settled_due_cents = due
    record("statement.issued", "job:issue-statements", agency.id, statement=public_id)


def _charge_cost(draft: _Draft, public_id: str, now: datetime) -> Charge:
    """Demand the cost of what the agency bills itself."""
    costs: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for (kind, _, type_id, mode), sums in draft.lines.items():
        if kind == "purchase" and mode == "own_billing":
            costs[type_id][0] += sums.credits
            costs[type_id][1] += sums.cost_cents
    lines = []
    for type_id, (credits, cents) in sorted(costs.items()):
        credit_type = db.session.get_one(CreditType, type_id)
        lines.append((f"{credit_type.name}: {credits // 10**credit_type.scale} at cost", cents))
    return open_charge(draft.agency, "agency", lines, draft.cycle.end, now, of=["agency", public_id])


def _write_lines(statement: Statement, draft: _Draft) -> None:
    for (kind, client_id, type_id, mode), sums in sorted(draft.lines.items()):
        db.session.add(
            StatementLine(
                statement_id=statement.id, kind=kind, client_account_id=client_id,
                client_name=db.session.get_one(Account, client_id).name, credit_type_id=type_id,
                settlement_mode=mode, credits=sums.credits, price_cents=sums.price_cents,
                cost_cents=sums.cost_cents, collected_cents=sums.collected_cents, due_cents=sums.due_cents,
            )
        )  # fmt: skip
    db.session.flush()


@atomic
def settle_statement(public_id: str, reference: str, actor: str) -> None:
    """Note that what a statement says is due was paid, either way. Once; raises NotFound, Conflict."""
    statement = db.session.scalar(select(Statement).where(Statement.public_id == public_id))
    if statement is None:
        raise NotFound("There is no such statement.")
    lock_accounts(statement.agency_account_id)
    if db.session.get(StatementSettlement, statement.id) is not None:
        raise Conflict("This statement is settled already.")
    now = business_now()
    db.session.add(
        StatementSettlement(
            statement_id=statement.id, reference=reference.strip()[:200], settled_by=actor, settled_at=now
        )
    )
    for row in db.session.scalars(
        select(OveragePurchase).where(
            OveragePurchase.statement_id == statement.id, OveragePurchase.billed_to_agency_at.is_(None),
            or_(OveragePurchase.settlement_mode == "collected", statement.charge_id is None),
        )
    ):  # fmt: skip
        row.billed_to_agency_at = now
    record(
        "statement.settled", actor, statement.agency_account_id, statement=public_id, reference=reference[:80]
    )

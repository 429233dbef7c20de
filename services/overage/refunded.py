"""What was given back of a charge, split over its purchases. Source: docs/overage.md, refunds."""

from sqlalchemy import select

from extensions import db
from models.billing import Payment
from models.overage import Charge
from services.overage.charges import purchases_of_charge


def note_refunded(payment: Payment, gone_cents: int) -> None:
    """Split what is gone of a charge's payment over its purchases by price, inside the caller's unit.

    Units: minor units, cumulative; largest remainder, so that the parts add up. Idempotent.
    """
    charge = db.session.scalar(select(Charge).where(Charge.payment_id == payment.id))
    if charge is None or charge.kind != "client" or payment.amount_cents == 0:
        return
    rows = purchases_of_charge(charge)
    whole = min(gone_cents * charge.amount_cents // payment.amount_cents, charge.amount_cents)
    exact = [whole * row.price_cents for row in rows]
    parts = [share // charge.amount_cents for share in exact]
    by_remainder = sorted(
        range(len(rows)), key=lambda index: (-(exact[index] % charge.amount_cents), rows[index].id)
    )
    for index in by_remainder[: whole - sum(parts)]:
        parts[index] += 1
    for row, part in zip(rows, parts, strict=True):
        row.refunded_cents = part

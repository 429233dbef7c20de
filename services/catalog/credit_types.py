"""What is counted on this instance."""

from collections.abc import Sequence

from sqlalchemy import select

from extensions import db
from models.catalog import DEFAULT_CREDIT_TYPE, CreditType
from services.clock import business_now
from services.unit_of_work import atomic


@atomic
def ensure_defaults() -> int:
    """Give a new instance the credit type ``credits``; the id of that type. Idempotent."""
    found = db.session.scalar(select(CreditType.id).where(CreditType.code == DEFAULT_CREDIT_TYPE))
    if found is not None:
        return found
    made = CreditType(code=DEFAULT_CREDIT_TYPE, name="Credits", scale=0, created_at=business_now())
    db.session.add(made)
    db.session.flush()
    return made.id


def credit_types() -> Sequence[CreditType]:
    """Every credit type, the main one first."""
    return db.session.scalars(select(CreditType).order_by(CreditType.position, CreditType.id)).all()

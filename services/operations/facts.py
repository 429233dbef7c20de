"""What an instance's database knows of itself, as named facts."""

from sqlalchemy import delete, select

from extensions import db
from models.jobs import InstanceFact
from services.unit_of_work import atomic


def fact(name: str) -> str | None:
    """The value of a fact; None where it is not set."""
    return db.session.scalar(select(InstanceFact.value).where(InstanceFact.name == name))


@atomic
def set_fact(name: str, value: str) -> None:
    """Set a fact, replacing what it was. Idempotent."""
    db.session.merge(InstanceFact(name=name, value=value))


@atomic
def drop_fact(name: str) -> None:
    """Forget a fact. Idempotent."""
    db.session.execute(delete(InstanceFact).where(InstanceFact.name == name))

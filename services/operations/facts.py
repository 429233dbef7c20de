"""What an instance's database knows of itself, as named facts."""

from sqlalchemy import bindparam, delete, select, text

from extensions import db
from models.jobs import InstanceFact
from services.statements import Statement
from services.unit_of_work import atomic

_INSERT = "INSERT INTO instance_facts (name, value) VALUES (:name, :value) ON CONFLICT (name) DO "
SET_FACT = text(_INSERT + "UPDATE SET value = excluded.value")
FIND_FACT = Statement(select(InstanceFact.value).where(InstanceFact.name == bindparam("of_name")))
KEEP_FACT = text(_INSERT + "NOTHING")


def fact(name: str) -> str | None:
    """The value of a fact; None where it is not set."""
    row = FIND_FACT.first(of_name=name)
    return None if row is None else row[0]


@atomic
def set_fact(name: str, value: str) -> None:
    """Set a fact, replacing what it was. Idempotent."""
    db.session.execute(SET_FACT, {"name": name, "value": value})


@atomic
def keep_fact(name: str, value: str) -> str:
    """Set a fact where nobody has; the value it has afterwards, whoever was first."""
    db.session.execute(KEEP_FACT, {"name": name, "value": value})
    return fact(name) or value


@atomic
def drop_fact(name: str) -> None:
    """Forget a fact. Idempotent."""
    db.session.execute(delete(InstanceFact).where(InstanceFact.name == name))

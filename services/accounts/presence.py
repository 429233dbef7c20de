"""Whether anybody is there yet."""

from sqlalchemy import select

from extensions import db
from models.accounts import Account, User


def has_accounts() -> bool:
    """Whether the instance has an account or a person: then it is not new."""
    return any(db.session.scalar(select(table.id).limit(1)) is not None for table in (Account, User))

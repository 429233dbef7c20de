"""Who did what, outside the ledger: append-only."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, RowId, append_only


class AuditEvent(Base):
    """One deed of a person, a key or a command."""

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    actor: Mapped[str] = mapped_column(String(80), comment="user:ID, key:ID, command, job:NAME")
    action: Mapped[str] = mapped_column(String(60), comment="noun.verb, e.g. account.created")
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), index=True)
    details: Mapped[str] = mapped_column(Text, default="{}", comment="JSON, no personal data, no secrets")
    created_at: Mapped[datetime] = mapped_column(index=True, comment="Wall clock")


append_only(AuditEvent.__table__, "id")

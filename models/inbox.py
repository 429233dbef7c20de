"""Stripe's events as they arrived, and what became of them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, RowId

INBOX_STATES = ("received", "processed", "ignored", "failed")


class InboxEvent(Base):
    """One delivered event: stored before it is answered, processed afterwards, once."""

    __tablename__ = "inbox_events"
    __table_args__ = (
        CheckConstraint("state IN ('received', 'processed', 'ignored', 'failed')", name="state"),
        Index(
            "ix_inbox_events_due",
            "next_attempt_at",
            sqlite_where=text("state IN ('received', 'failed')"),
            postgresql_where=text("state IN ('received', 'failed')"),
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    stripe_event_id: Mapped[str] = mapped_column(String(255), unique=True)
    type: Mapped[str] = mapped_column(String(100))
    object_id: Mapped[str] = mapped_column(String(255), default="", index=True)
    body: Mapped[str | None] = mapped_column(Text, comment="As received; dropped when pruned")
    state: Mapped[str] = mapped_column(String(10), default="received")
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(index=True, comment="Wall clock")
    next_attempt_at: Mapped[datetime | None] = mapped_column(comment="Wall clock; null: no more tries")
    processed_at: Mapped[datetime | None] = mapped_column(comment="Wall clock")

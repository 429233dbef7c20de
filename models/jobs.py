"""Job runs, leases and facts about this instance."""

from datetime import datetime

from sqlalchemy import CheckConstraint, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, RowId


class JobRun(Base):
    """One run of one job for one due time: the record that decides what is due."""

    __tablename__ = "job_runs"
    __table_args__ = (
        UniqueConstraint("job", "due_at"),
        CheckConstraint("state IN ('running', 'done', 'failed')", name="state"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    job: Mapped[str] = mapped_column(String(40))
    due_at: Mapped[datetime] = mapped_column(comment="The scheduled instant it stands for, business clock")
    state: Mapped[str] = mapped_column(String(10), default="running")
    started_at: Mapped[datetime] = mapped_column(index=True, comment="Wall clock")
    finished_at: Mapped[datetime | None] = mapped_column(comment="Wall clock")
    summary: Mapped[str] = mapped_column(Text, default="", comment="What it did, in words")
    error: Mapped[str | None] = mapped_column(Text)


class Lease(Base):
    """Who may do a thing alone for a while, across processes."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder: Mapped[str] = mapped_column(String(80))
    expires_at: Mapped[datetime] = mapped_column(comment="Wall clock, exclusive")


class InstanceFact(Base):
    """What this database knows of itself: instance id, payment environment, clock offset, high-water mark."""

    __tablename__ = "instance_facts"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)

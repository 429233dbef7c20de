"""Job runs, leases and facts about this instance."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, RowId


class JobRun(Base):
    """One run of one job for one due time: the record that decides what is due."""

    __tablename__ = "job_runs"
    __table_args__ = (
        Index(
            "uq_job_runs_scheduled",
            "job",
            "due_at",
            unique=True,
            sqlite_where=text("NOT by_hand"),
            postgresql_where=text("NOT by_hand"),
        ),
        CheckConstraint("state IN ('running', 'done', 'failed')", name="state"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    job: Mapped[str] = mapped_column(String(40))
    due_at: Mapped[datetime] = mapped_column(comment="The scheduled instant it stands for, business clock")
    by_hand: Mapped[bool] = mapped_column(default=False, comment="Asked for by a person; not on schedule")
    attempts: Mapped[int] = mapped_column(default=1, comment="How often this instant was tried")
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

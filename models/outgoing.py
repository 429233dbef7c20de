"""What other programs are told: events, the endpoints that hear of them, and what became of each delivery."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, RowId, one_of

DELIVERY_STATES = ("queued", "delivered", "failed")


class WebhookEndpoint(Base):
    """An address that events are sent to: those of one account, or of the whole instance."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    account_id: Mapped[int | None] = mapped_column(
        ForeignKey("accounts.id", ondelete="RESTRICT"), index=True, comment="Null: every account's events"
    )
    url: Mapped[str] = mapped_column(String(2000))
    description: Mapped[str] = mapped_column(String(200), default="")
    types: Mapped[str] = mapped_column(Text, default="", comment="Comma-separated; empty: every type")
    is_enabled: Mapped[bool] = mapped_column(default=True)
    failures: Mapped[int] = mapped_column(default=0, comment="Attempts that failed since the last success")
    disabled_at: Mapped[datetime | None] = mapped_column(comment="Wall clock")
    disabled_reason: Mapped[str] = mapped_column(String(300), default="")
    created_by: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(comment="Wall clock")
    removed_at: Mapped[datetime | None] = mapped_column(comment="Wall clock; null: it is there")


class WebhookSecret(Base):
    """What deliveries to an endpoint are signed with; two while one is being replaced."""

    __tablename__ = "webhook_secrets"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="RESTRICT"), index=True
    )
    sealed: Mapped[str] = mapped_column(Text, comment="Encrypted under SECRET_KEY")
    created_at: Mapped[datetime] = mapped_column(comment="Wall clock")
    expires_at: Mapped[datetime | None] = mapped_column(comment="Wall clock; null: the present one")


class OutgoingEvent(Base):
    """A fact for other programs, written in its own unit; the job gives it its place in the order afterwards."""

    __tablename__ = "outgoing_events"
    __table_args__ = (
        UniqueConstraint("account_id", "dedupe_key"),
        Index(
            "ix_outgoing_events_waiting",
            "id",
            sqlite_where=text("sequence IS NULL"),
            postgresql_where=text("sequence IS NULL"),
        ),
        CheckConstraint("(sequence IS NULL) = (body IS NULL)", name="published"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    endpoint_id: Mapped[int | None] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="RESTRICT"), comment="A test event: for this one alone"
    )
    type: Mapped[str] = mapped_column(String(40))
    dedupe_key: Mapped[str] = mapped_column(String(200))
    data: Mapped[str] = mapped_column(Text, comment="JSON; the body's data")
    created_at: Mapped[datetime] = mapped_column(comment="Business clock")
    sequence: Mapped[int | None] = mapped_column(BigInteger, unique=True, comment="Place in published order")
    body: Mapped[str | None] = mapped_column(Text, comment="As it is sent, the same each time")
    published_at: Mapped[datetime | None] = mapped_column(index=True, comment="Wall clock")


class JournalMark(Base):
    """How far an account's journal in one credit type has been made into events."""

    __tablename__ = "journal_marks"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), primary_key=True)
    credit_type_id: Mapped[int] = mapped_column(
        ForeignKey("credit_types.id", ondelete="RESTRICT"), primary_key=True
    )
    sequence: Mapped[int] = mapped_column(BigInteger, comment="The last line that is in an event")


class Delivery(Base):
    """One event on its way to one endpoint."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "endpoint_id"),
        CheckConstraint(one_of("state", DELIVERY_STATES), name="state"),
        Index(
            "ix_deliveries_due",
            "next_attempt_at",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
        Index("ix_deliveries_endpoint", "endpoint_id", "id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("outgoing_events.id", ondelete="RESTRICT"))
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="RESTRICT"))
    state: Mapped[str] = mapped_column(String(10), default="queued")
    attempts: Mapped[int] = mapped_column(default=0, comment="In all")
    tries: Mapped[int] = mapped_column(default=0, comment="Since it was last asked for; what waits grow by")
    status_code: Mapped[int | None] = mapped_column(comment="Of the last answer")
    error: Mapped[str | None] = mapped_column(String(300), comment="Of the last attempt")
    created_at: Mapped[datetime] = mapped_column(comment="Wall clock")
    next_attempt_at: Mapped[datetime | None] = mapped_column(comment="Wall clock; null: no more attempts")
    finished_at: Mapped[datetime | None] = mapped_column(comment="Wall clock")


class DeliveryAttempt(Base):
    """One attempt at a delivery, and what the other side said."""

    __tablename__ = "delivery_attempts"

    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("deliveries.id", ondelete="RESTRICT"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = mapped_column(comment="Wall clock")
    duration_ms: Mapped[int]
    status_code: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String(300))
    response: Mapped[str] = mapped_column(String(500), default="", comment="How the answer began")

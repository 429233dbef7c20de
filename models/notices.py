"""What people are told: notices in the app, the outbox of mail, and what each account wants to hear."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, RowId, one_of

MAIL_STATES = ("queued", "sent", "failed", "dropped")


class Notice(Base):
    """Something an account's people should know, once per crossing: ``dedupe_key`` names the crossing."""

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint("account_id", "dedupe_key"),
        Index("ix_notices_account", "account_id", "id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    kind: Mapped[str] = mapped_column(String(40))
    dedupe_key: Mapped[str] = mapped_column(String(200))
    facts: Mapped[str] = mapped_column(Text, default="{}", comment="JSON; what the words are made from")
    is_shown: Mapped[bool] = mapped_column(default=True, comment="Whether the app lists it")
    created_at: Mapped[datetime] = mapped_column(comment="Business clock")


class NoticeRead(Base):
    """How far a person has read an account's notices."""

    __tablename__ = "notice_reads"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), primary_key=True)
    read_up_to: Mapped[int] = mapped_column(BigInteger, comment="The newest notice read; older ones are too")


class NoticeSetting(Base):
    """Whether an account wants a kind of notice in the app and by mail; no row: the kind's default."""

    __tablename__ = "notice_settings"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    in_app: Mapped[bool]
    by_mail: Mapped[bool]


class Unsubscribed(Base):
    """An address that wants no more mails of a kind from an account."""

    __tablename__ = "unsubscribed"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    address: Mapped[str] = mapped_column(String(320), primary_key=True, comment="In small letters")
    created_at: Mapped[datetime] = mapped_column(comment="Wall clock")


class LowBalance(Base):
    """Below how many credits an account is warned, and whether it has been since it was above."""

    __tablename__ = "low_balances"
    __table_args__ = (CheckConstraint("threshold > 0", name="threshold"),)

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), primary_key=True)
    credit_type_id: Mapped[int] = mapped_column(
        ForeignKey("credit_types.id", ondelete="RESTRICT"), primary_key=True
    )
    threshold: Mapped[int] = mapped_column(BigInteger, comment="Smallest units of the type")
    is_below: Mapped[bool] = mapped_column(default=False, comment="Warned, and not above since")
    crossings: Mapped[int] = mapped_column(default=0, comment="How often it fell below; part of the key")


class OutboxMail(Base):
    """A mail to send, tried until it is taken or given up."""

    __tablename__ = "outbox_mails"
    __table_args__ = (
        CheckConstraint(one_of("state", MAIL_STATES), name="state"),
        Index(
            "ix_outbox_mails_due",
            "next_attempt_at",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    notice_id: Mapped[int | None] = mapped_column(ForeignKey("notices.id", ondelete="RESTRICT"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    recipient: Mapped[str] = mapped_column(String(320))
    subject: Mapped[str] = mapped_column(String(255), comment="Once it was tried; rendered when sent")
    state: Mapped[str] = mapped_column(String(10), default="queued")
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(comment="Wall clock")
    next_attempt_at: Mapped[datetime | None] = mapped_column(comment="Wall clock; null: no more tries")
    sent_at: Mapped[datetime | None] = mapped_column(comment="Wall clock")

"""Accounts, their unique names, people, sessions, tokens and API keys."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, RowId, one_of
from models.catalog import Catalog

ACCOUNT_KINDS = ("client", "agency")
ACCOUNT_STATUSES = ("active", "past_due", "frozen", "parked")
ROLES = ("owner", "member", "viewer")
TOKEN_PURPOSES = ("invitation", "password_reset", "first_operator", "sign_in")
SCOPES = ("read", "spend", "manage")


class Account(Base):
    """Whoever holds credits: a client or an agency."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint(one_of("kind", ACCOUNT_KINDS), name="kind"),
        CheckConstraint(one_of("status", ACCOUNT_STATUSES), name="status"),
        CheckConstraint("agency_id IS NULL OR kind = 'client'", name="agency_of_client"),
        CheckConstraint("agency_id IS NULL OR agency_id <> id", name="agency_is_another"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(
        String(40), unique=True, comment="Random; the only id of the account that leaves for Stripe"
    )
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    external_id: Mapped[str | None] = mapped_column(String(255), unique=True, comment="The team's own id")
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(320), comment="Where receipts go")
    kind: Mapped[str] = mapped_column(String(10), default="client")
    agency_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), index=True)
    catalog_id: Mapped[int | None] = mapped_column(ForeignKey("catalogs.id", ondelete="RESTRICT"), index=True)
    currency: Mapped[str] = mapped_column(String(3), default="usd", comment="ISO 4217, lower case")
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC", comment="IANA name")
    locale: Mapped[str] = mapped_column(String(16), default="en_US")
    status: Mapped[str] = mapped_column(String(10), default="active")
    stripe_customer_id: Mapped[str | None] = mapped_column(String(255), unique=True)
    created_at: Mapped[datetime]

    catalog: Mapped[Catalog | None] = relationship()
    agency: Mapped["Account | None"] = relationship(remote_side=[id])


class AccountName(Base):
    """Slugs and external ids in one table, so that a name means one account."""

    __tablename__ = "account_names"
    __table_args__ = (CheckConstraint("kind IN ('slug', 'external_id')", name="kind"),)

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), index=True)
    kind: Mapped[str] = mapped_column(String(12))


class User(Base):
    """A person who signs in."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True, comment="Normalised, lower case")
    name: Mapped[str] = mapped_column(String(200), default="")
    password_hash: Mapped[str | None] = mapped_column(String(255), comment="Null: cannot sign in yet")
    is_operator: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]

    memberships: Mapped[list["Membership"]] = relationship(back_populates="user")


class Membership(Base):
    """A person's role in an account."""

    __tablename__ = "memberships"
    __table_args__ = (
        CheckConstraint(one_of("role", ROLES), name="role"),
        UniqueConstraint("user_id", "account_id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), index=True)
    role: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime]

    user: Mapped[User] = relationship(back_populates="memberships")
    account: Mapped[Account] = relationship()


class UserSession(Base):
    """A signed-in browser. The cookie holds the token; the table only its hash."""

    __tablename__ = "user_sessions"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True, comment="SHA-256, hexadecimal")
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"), index=True)
    created_at: Mapped[datetime] = mapped_column(comment="Wall clock")
    last_seen_at: Mapped[datetime] = mapped_column(comment="Wall clock, to the minute")
    revoked_at: Mapped[datetime | None]
    address: Mapped[str] = mapped_column(String(64), default="")
    user_agent: Mapped[str] = mapped_column(String(255), default="")
    awaits_code: Mapped[bool] = mapped_column(
        default=False, comment="The password was right, the second step is still to come: opens nothing"
    )


class SecondFactor(Base):
    """The authenticator app of a person: codes from a shared secret (TOTP, RFC 6238)."""

    __tablename__ = "second_factors"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
    )
    secret: Mapped[str] = mapped_column(String(255), comment="Encrypted with a key made from SECRET_KEY")
    last_step: Mapped[int] = mapped_column(
        BigInteger, default=0, comment="Half minutes since 1970 of the last code taken: none is good twice"
    )
    created_at: Mapped[datetime] = mapped_column(comment="Wall clock")
    confirmed_at: Mapped[datetime | None] = mapped_column(
        comment="Wall clock; null: asked for in vain so far"
    )


class RecoveryCode(Base):
    """A code for whoever has lost the authenticator: good once."""

    __tablename__ = "recovery_codes"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"), index=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True, comment="SHA-256, hexadecimal")
    used_at: Mapped[datetime | None] = mapped_column(comment="Wall clock")


class OneTimeToken(Base):
    """An invitation, a password reset or the first operator's link: random, hashed, used once."""

    __tablename__ = "one_time_tokens"
    __table_args__ = (CheckConstraint(one_of("purpose", TOKEN_PURPOSES), name="purpose"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True, comment="SHA-256, hexadecimal")
    purpose: Mapped[str] = mapped_column(String(20))
    email: Mapped[str] = mapped_column(String(320), default="")
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"))
    role: Mapped[str | None] = mapped_column(String(10))
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    created_at: Mapped[datetime] = mapped_column(comment="Wall clock")
    expires_at: Mapped[datetime] = mapped_column(index=True, comment="Wall clock, exclusive")
    used_at: Mapped[datetime | None]


class LoginThrottle(Base):
    """Failed attempts per key (address, or address and e-mail) in a window; survives a restart."""

    __tablename__ = "login_throttles"

    key: Mapped[str] = mapped_column(String(160), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    window_started_at: Mapped[datetime] = mapped_column(index=True, comment="Wall clock")


class ApiKey(Base):
    """A key of one account, or of the whole instance (``account_id`` null: "platform")."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    key_hash: Mapped[str] = mapped_column(String(64), unique=True, comment="SHA-256, hexadecimal")
    prefix: Mapped[str] = mapped_column(String(12), comment="The first characters, to recognise it by")
    name: Mapped[str] = mapped_column(String(100), default="")
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="RESTRICT"), index=True)
    scopes: Mapped[str] = mapped_column(String(40), comment="Comma-separated: read, spend, manage")
    created_by: Mapped[str] = mapped_column(String(80), comment="Actor")
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None] = mapped_column(comment="Wall clock, to the minute")
    revoked_at: Mapped[datetime | None]

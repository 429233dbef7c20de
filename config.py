"""Settings, read once from the environment or ``.env``: typed, failing at start by name.

``docs/settings.md`` lists each with its meaning; a test holds the two together.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from limits import parse_many
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ROOT = Path(__file__).resolve().parent
Origins = Annotated[tuple[str, ...], NoDecode]


class SettingsError(Exception):
    """A setting is missing or malformed; the message names it."""


class Settings(BaseSettings):
    """Every setting of an instance."""

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    instance_dir: Path = Field(ROOT / "instance", description="Where data and generated secrets live")
    database_url: str = Field(
        "", description="SQLite or PostgreSQL URL; empty: coffer.sqlite in INSTANCE_DIR"
    )
    secret_key: SecretStr = Field(SecretStr(""), description="Signs cookies; generated where unset")
    ledger_key: SecretStr = Field(
        SecretStr(""), description="Keys the journal's chain; generated where unset"
    )
    base_url: str = Field("", description="Public address of this instance; empty: http://127.0.0.1:PORT")
    port: int = Field(5000, ge=1, le=65535, description="Port to serve on")
    host: str = Field("127.0.0.1", description="Address to bind")
    server_threads: int = Field(4, ge=1, le=64, description="Request threads of the one process")

    stripe_secret_key: SecretStr = Field(SecretStr(""), description="Empty: the sandbox is used")
    stripe_webhook_secret: SecretStr = Field(SecretStr(""), description="Signing secrets, comma-separated")
    stripe_api_base: str = Field("", description="Another server that speaks Stripe's API")
    checkout_origins: Origins = Field((), description="Further origins that Checkout may be served from")
    return_origins: Origins = Field((), description="Further origins for success_url and cancel_url")
    cors_origins: Origins = Field((), description="Origins whose browsers may call the API")
    automatic_tax: bool = Field(False, description="Let Stripe compute tax in Checkout")

    jwt_secret: SecretStr = Field(
        SecretStr(""), description="Shared secret of HS256 tokens, 32 characters up"
    )
    jwt_public_key: str = Field("", description="PEM public key of RS256 or ES256 tokens")
    jwt_algorithm: Literal["HS256", "RS256", "ES256"] = Field(
        "HS256", description="The one accepted algorithm"
    )

    open_registration: bool = Field(False, description="Anyone may sign up")
    overage_requires_card: bool = Field(False, description="Overage needs a card on file")
    seller_name: str = Field("Coffer", description="On pages, mail and receipts")
    seller_address: str = Field("", description="On receipts")
    seller_tax_id: str = Field("", description="On receipts")
    smtp_url: SecretStr = Field(SecretStr(""), description="smtp(s)://user:password@host:port; empty: log")
    mail_from: str = Field("coffer@localhost", description="Sender of mail")

    outgoing_private_addresses: bool = Field(
        False, description="Webhooks may go to private networks, and over plain HTTP"
    )
    scheduler: Literal["on", "off"] = Field("on", description="Run jobs in this process")
    backup_dir: Path | None = Field(None, description="Nightly backups; empty: INSTANCE_DIR/backups")
    backup_keep: int = Field(14, ge=1, description="How many nightly backups stay")
    metrics_token: SecretStr = Field(SecretStr(""), description="Bearer token of /metrics; empty: closed")
    api_rate_limit: str = Field("", description="Such as 600/minute per key; empty: none")
    trusted_proxies: int = Field(0, ge=0, le=5, description="Reverse proxies in front whose headers count")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Of the log")
    coffer_demo: bool = Field(True, description="make run loads the demo into a new database")

    @field_validator("checkout_origins", "return_origins", "cors_origins", mode="before")
    @classmethod
    def split_origins(cls, value: object) -> object:
        """Comma-separated origins, each scheme://host[:port]."""
        if not isinstance(value, str):
            return value
        return tuple(origin_of(part) for part in value.split(",") if part.strip())

    @field_validator("base_url", "stripe_api_base")
    @classmethod
    def check_address(cls, value: str) -> str:
        """An http(s) address without a trailing slash."""
        if value and urlsplit(value).scheme not in ("http", "https"):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    @field_validator("api_rate_limit")
    @classmethod
    def check_rate_limit(cls, value: str) -> str:
        """One or more limits such as 600/minute."""
        if value:
            try:
                parse_many(value)
            except ValueError:
                raise ValueError("must be such as 600/minute") from None
        return value

    @field_validator("database_url")
    @classmethod
    def check_database(cls, value: str) -> str:
        """SQLite or PostgreSQL, the latter through psycopg 3."""
        if value.startswith(("postgresql://", "postgres://")):
            return "postgresql+psycopg://" + value.split("://", 1)[1]
        if value and not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return value

    @field_validator("stripe_secret_key")
    @classmethod
    def check_stripe_key(cls, value: SecretStr) -> SecretStr:
        """A secret or restricted key, never a publishable one."""
        key = value.get_secret_value()
        if key and not key.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")):
            raise ValueError("must be a secret key: sk_test_, sk_live_, rk_test_ or rk_live_")
        return value

    @field_validator("jwt_secret")
    @classmethod
    def check_jwt_secret(cls, value: SecretStr) -> SecretStr:
        """Short secrets can be guessed offline."""
        if 0 < len(value.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters")
        return value

    @model_validator(mode="after")
    def check_jwt_public_key(self) -> "Settings":
        """The key must be of the algorithm's kind, or no token would ever be taken."""
        if self.jwt_public_key and self.jwt_algorithm != "HS256":
            from jwt.algorithms import get_default_algorithms
            from jwt.exceptions import InvalidKeyError

            try:
                get_default_algorithms()[self.jwt_algorithm].prepare_key(self.jwt_public_key)
            except (InvalidKeyError, ValueError, TypeError):
                raise SettingsError(
                    f"JWT_PUBLIC_KEY: must be the PEM public key of {self.jwt_algorithm}"
                ) from None
        return self

    @model_validator(mode="after")
    def fill_addresses(self) -> "Settings":
        """Derive what depends on other settings."""
        self.instance_dir = self.instance_dir.resolve()
        if not self.base_url:
            self.base_url = f"http://127.0.0.1:{self.port}"
        if not self.database_url:
            self.database_url = f"sqlite:///{self.instance_dir / 'coffer.sqlite'}"
        if self.backup_dir is None:
            self.backup_dir = self.instance_dir / "backups"
        return self

    @property
    def uses_sandbox(self) -> bool:
        """Without a key of Stripe the built-in sandbox answers."""
        return not self.stripe_secret_key.get_secret_value()

    @property
    def payment_environment(self) -> str:
        """What kind of payments this instance makes: sandbox, test or live."""
        key = self.stripe_secret_key.get_secret_value()
        return "sandbox" if not key else key.split("_")[1]

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The signing secrets that are accepted."""
        joined = self.stripe_webhook_secret.get_secret_value()
        return tuple(part.strip() for part in joined.split(",") if part.strip())

    @property
    def jwt_key(self) -> str:
        """What signed tokens are checked with; empty: none are taken."""
        return self.jwt_secret.get_secret_value() if self.jwt_algorithm == "HS256" else self.jwt_public_key

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the instance over TLS."""
        return self.base_url.startswith("https://")


def origin_of(address: str) -> str:
    """The origin of an address. Raises ValueError where it is none."""
    parts = urlsplit(address.strip())
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"{address.strip()!r} is no origin such as https://example.com")
    return f"{parts.scheme}://{parts.netloc}".lower()


def load_settings(**overrides: object) -> Settings:
    """The settings of this process, secrets generated into the instance folder where unset.

    Raises SettingsError, which names each wrong setting.
    """
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        problems = [f"{_name(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
        raise SettingsError("; ".join(problems)) from None
    settings.instance_dir.mkdir(parents=True, exist_ok=True)
    for field in ("secret_key", "ledger_key"):
        if not getattr(settings, field).get_secret_value():
            setattr(settings, field, SecretStr(kept_secret(settings.instance_dir / field)))
    return settings


def _name(location: tuple[int | str, ...]) -> str:
    return str(location[0]).upper() if location else "settings"


def kept_secret(path: Path) -> str:
    """Read a generated secret, or make it: mode 0600, never overwritten, whole as soon as it is there.

    Of several who make it at once, one is first and all get that one's.
    """
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink()
    return _existing_secret(path)


def _existing_secret(path: Path) -> str:
    secret = path.read_text().strip()
    if len(secret) < 32:
        raise SettingsError(f"{path.name.upper()}: {path} is damaged; restore it from a backup")
    return secret

"""Endpoints: which addresses hear of which events, and the secrets that their deliveries are signed with."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from errors import InvalidRequest, NotFound
from extensions import db
from models.accounts import Account
from models.outgoing import Delivery, WebhookEndpoint, WebhookSecret
from services.audit import record
from services.clock import wall_now
from services.events.kinds import EVENT_TYPES
from services.events.signing import new_secret, sealed, unsealed
from services.notices.notices import notify
from services.unit_of_work import atomic

OLD_SECRET_HOURS = 24
LONGEST_DESCRIPTION = 200
GONE = "The endpoint was removed."
# Disabled because nothing reached it, not by a person.
IS_GIVEN_UP = (
    ~WebhookEndpoint.is_enabled & (WebhookEndpoint.failures > 0) & WebhookEndpoint.removed_at.is_(None)
)
# Raises InvalidRequest naming ``url`` where events may not be sent there.
CheckUrl = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint:
    """An endpoint to make. ``account_id`` None: it hears of every account; no ``types``: of everything."""

    url: str
    account_id: int | None = None
    types: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class MadeEndpoint:
    """A new endpoint. ``secret`` is shown this once."""

    public_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint as its reader sees it. ``account`` is a slug; None: every account."""

    id: int
    public_id: str
    url: str
    description: str
    account: str | None
    types: tuple[str, ...]
    is_enabled: bool
    failures: int
    disabled_at: datetime | None
    disabled_reason: str
    created_by: str
    created_at: datetime
    rolling_until: datetime | None


@atomic
def create_endpoint(new: NewEndpoint, actor: str, check_url: CheckUrl) -> MadeEndpoint:
    """Send events to an address from now on. Raises InvalidRequest naming ``url``, ``types``, ``description``."""
    check_url(new.url)
    if unknown := set(new.types) - set(EVENT_TYPES):
        raise InvalidRequest.of("types", f"there is no event {sorted(unknown)[0]!r}")
    if len(new.description) > LONGEST_DESCRIPTION:
        raise InvalidRequest.of("description", f"must have at most {LONGEST_DESCRIPTION} characters")
    row = WebhookEndpoint(
        public_id=f"ep_{secrets.token_hex(8)}", account_id=new.account_id, url=new.url,
        description=new.description, types=",".join(name for name in EVENT_TYPES if name in new.types),
        created_by=actor, created_at=wall_now(),
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    record("endpoint.created", actor, new.account_id, endpoint=row.public_id)
    return MadeEndpoint(row.public_id, _add_secret(row.id))


@atomic
def roll_secret(public_id: str, actor: str) -> str:
    """Make another secret and return it, this once; both are signed with for a day. Raises NotFound."""
    row, now = locked_endpoint(public_id), wall_now()
    db.session.execute(
        update(WebhookSecret)
        .where(WebhookSecret.endpoint_id == row.id, WebhookSecret.expires_at.is_(None))
        .values(expires_at=now + timedelta(hours=OLD_SECRET_HOURS))
    )
    record("endpoint.secret_rolled", actor, row.account_id, endpoint=public_id)
    return _add_secret(row.id)


def _add_secret(endpoint_id: int) -> str:
    secret = new_secret()
    db.session.add(WebhookSecret(endpoint_id=endpoint_id, sealed=sealed(secret), created_at=wall_now()))
    db.session.flush()
    return secret


def secrets_of(endpoint_id: int) -> list[str]:
    """What a delivery is signed with now, the newest first. Raises Conflict where SECRET_KEY has changed."""
    kept = db.session.scalars(
        select(WebhookSecret.sealed)
        .where(
            WebhookSecret.endpoint_id == endpoint_id,
            WebhookSecret.expires_at.is_(None) | (WebhookSecret.expires_at > wall_now()),
        )
        .order_by(WebhookSecret.id.desc())
    )
    return [unsealed(one) for one in kept]


@atomic
def enable_endpoint(public_id: str, actor: str) -> None:
    """Send again; what waited goes out, what happened meanwhile does not. Idempotent. Raises NotFound."""
    row = locked_endpoint(public_id)
    if not row.is_enabled:
        row.is_enabled, row.failures, row.disabled_at, row.disabled_reason = True, 0, None, ""
        record("endpoint.enabled", actor, row.account_id, endpoint=public_id)


@atomic
def disable_endpoint(public_id: str, actor: str) -> None:
    """Send nothing until it is enabled again. Idempotent. Raises NotFound."""
    row = locked_endpoint(public_id)
    if row.is_enabled:
        row.is_enabled, row.disabled_at, row.disabled_reason = False, wall_now(), "By an operator."
        row.failures = 0
        record("endpoint.disabled", actor, row.account_id, endpoint=public_id)


def give_up_on(row: WebhookEndpoint, reason: str) -> None:
    """Disable an endpoint, which is locked, because nothing reaches it; its account is told."""
    row.is_enabled, row.disabled_at, row.disabled_reason = False, wall_now(), reason
    record("endpoint.disabled", "job:deliver-events", row.account_id, endpoint=row.public_id)
    if row.account_id is not None:
        key = f"endpoint:{row.public_id}:{row.disabled_at:%Y-%m-%dT%H:%M:%S}"
        notify(row.account_id, "webhook_disabled", key, url=row.url, reason=reason)


@atomic
def remove_endpoint(public_id: str, actor: str) -> None:
    """Forget an endpoint and what waits for it. Raises NotFound."""
    row, now = locked_endpoint(public_id), wall_now()
    row.removed_at, row.is_enabled = now, False
    db.session.execute(
        update(Delivery)
        .where(Delivery.endpoint_id == row.id, Delivery.state == "queued")
        .values(state="failed", error=GONE, next_attempt_at=None, finished_at=now)
    )
    record("endpoint.removed", actor, row.account_id, endpoint=public_id)


def locked_endpoint(public_id: str) -> WebhookEndpoint:
    """The row of an endpoint, locked. Raises NotFound."""
    row = db.session.scalar(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.public_id == public_id, WebhookEndpoint.removed_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise NotFound("There is no such endpoint.")
    return row


def endpoint_named(public_id: str) -> EndpointView:
    """One endpoint. Raises NotFound."""
    found = _views(WebhookEndpoint.public_id == public_id)
    if not found:
        raise NotFound("There is no such endpoint.")
    return found[0]


def list_endpoints() -> list[EndpointView]:
    """Every endpoint, the oldest first."""
    return _views()


def _views(*conditions: object) -> list[EndpointView]:
    rows = db.session.execute(
        select(WebhookEndpoint, Account.slug)
        .outerjoin(Account, Account.id == WebhookEndpoint.account_id)
        .where(WebhookEndpoint.removed_at.is_(None), *conditions)  # type: ignore[arg-type]
        .order_by(WebhookEndpoint.id)
    ).all()
    rolling = _rolling([row.id for row, _ in rows])
    return [
        EndpointView(
            row.id, row.public_id, row.url, row.description, slug, tuple(filter(None, row.types.split(","))),
            row.is_enabled, row.failures, row.disabled_at, row.disabled_reason, row.created_by,
            row.created_at, rolling.get(row.id),
        )
        for row, slug in rows
    ]  # fmt: skip


def _rolling(ids: Iterable[int]) -> dict[int, datetime]:
    """Until when an endpoint's older secret is signed with too."""
    rows = db.session.execute(
        select(WebhookSecret.endpoint_id, WebhookSecret.expires_at).where(
            WebhookSecret.endpoint_id.in_(ids), WebhookSecret.expires_at > wall_now()
        )
    )
    return {endpoint_id: moment for endpoint_id, moment in rows if moment is not None}

"""Limits on guessing, kept in the database so that a restart forgets none.

An attempt counts before it is made, so that parallel ones cannot slip through, and against two keys: the
network it comes from, and that network together with the e-mail address. The e-mail address alone is no key:
whoever attacks an account from elsewhere must not lock its owner out. Source: docs/security.md, limits.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, delete, literal, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from errors import RateLimited
from extensions import db
from models.accounts import LoginThrottle
from services.clock import wall_now
from services.unit_of_work import atomic


@dataclass(frozen=True, slots=True)
class Limit:
    """Attempts in a window: from one network, and from one network for one e-mail address."""

    per_network: int
    per_email: int
    window: timedelta


CODES_PER_PERSON = 12
LIMITS = {
    "sign_in": Limit(per_network=40, per_email=8, window=timedelta(minutes=15)),
    "password": Limit(per_network=40, per_email=8, window=timedelta(minutes=15)),
    "second_factor": Limit(per_network=40, per_email=8, window=timedelta(minutes=15)),
    "reset": Limit(per_network=20, per_email=5, window=timedelta(hours=1)),
    "register": Limit(per_network=20, per_email=5, window=timedelta(hours=1)),
}


@atomic
def count_attempt(purpose: str, address: str, email: str = "") -> None:
    """Count one attempt. Raises RateLimited, with the seconds to wait, where there were too many."""
    limit = LIMITS[purpose]
    network_key, email_key = _keys(purpose, address, email)
    _count(network_key, limit.per_network, limit.window)
    if email:
        _count(email_key, limit.per_email, limit.window)


@atomic
def count_code(user_id: int) -> None:
    """Count one code of a person, wherever it comes from: only who knows the password gets this far, so
    this locks out nobody but them. Raises RateLimited."""
    _count(f"second_factor:user:{user_id}", CODES_PER_PERSON, LIMITS["second_factor"].window)


@atomic
def forgive(purpose: str, address: str, email: str) -> None:
    """An attempt turned out well: forget the failures for this e-mail address, and not to count this one."""
    network_key, email_key = _keys(purpose, address, email)
    db.session.execute(delete(LoginThrottle).where(LoginThrottle.key == email_key))
    db.session.execute(
        update(LoginThrottle)
        .where(LoginThrottle.key == network_key, LoginThrottle.failures > 0)
        .values(failures=LoginThrottle.failures - 1)
    )


def _count(key: str, attempts: int, window: timedelta) -> None:
    now = wall_now()
    table = LoginThrottle.__table__
    is_over = table.c.window_started_at <= now - window
    insert = sqlite_insert if db.engine.dialect.name == "sqlite" else postgresql_insert
    statement = (
        insert(table)
        .values(key=key, failures=1, window_started_at=now)
        .on_conflict_do_update(
            index_elements=["key"],
            set_={
                "failures": case((is_over, 1), else_=table.c.failures + 1),
                "window_started_at": case(
                    (is_over, literal(now, table.c.window_started_at.type)), else_=table.c.window_started_at
                ),
            },
        )
        .returning(table.c.failures, table.c.window_started_at)
    )
    failures, started_at = db.session.execute(statement).one()
    if failures > attempts:
        wait_seconds = int((started_at + window - now).total_seconds()) + 1
        raise RateLimited(
            "Too many attempts. Wait a while, then try again.", retry_after_seconds=wait_seconds
        )


def _keys(purpose: str, address: str, email: str) -> tuple[str, str]:
    network = network_of(address)
    digest = hashlib.sha256(f"{network}\n{email}".encode(errors="replace")).hexdigest()[:40]
    return f"{purpose}:network:{network}", f"{purpose}:email:{digest}"


def network_of(address: str) -> str:
    """What counts as one sender: an IPv4 address, or the /64 that one IPv6 subscriber has to himself."""
    try:
        parsed = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return "unknown"
    if parsed.version == 6 and parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)

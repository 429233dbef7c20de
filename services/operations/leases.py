"""Leases: who may do a thing alone for a while, across processes and machines.

A lease is a row with an end on the wall clock; its holder renews it. Where the holder dies, the lease runs
out and the next to ask gets it.
"""

import os
import secrets
import socket
from datetime import timedelta

from sqlalchemy import select, text

from extensions import db
from models.jobs import Lease
from services.clock import to_microseconds, wall_now
from services.unit_of_work import atomic

TAKE = text(
    "INSERT INTO leases (name, holder, expires_at) VALUES (:name, :holder, :expires_at) "
    "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at "
    "WHERE leases.holder = excluded.holder OR leases.expires_at <= :now_at"
)
GIVE_BACK = text("DELETE FROM leases WHERE name = :name AND holder = :holder")
LEASE_SECONDS = 30


def new_holder() -> str:
    """A name for this process that no other bears; says where to look."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"


@atomic
def take_lease(name: str, holder: str, seconds: int = LEASE_SECONDS) -> bool:
    """Take a free lease, or renew one's own. False where another holds it."""
    now = wall_now()
    taken = db.session.execute(
        TAKE,
        {
            "name": name,
            "holder": holder,
            "expires_at": to_microseconds(now + timedelta(seconds=seconds)),
            "now_at": to_microseconds(now),
        },
    )
    return bool(taken.rowcount)  # type: ignore[attr-defined]


def lease_is_held(name: str) -> bool:
    """Whether somebody holds it now."""
    end = db.session.scalar(select(Lease.expires_at).where(Lease.name == name))
    return end is not None and end > wall_now()


@atomic
def give_back_lease(name: str, holder: str) -> None:
    """End one's own lease early. Idempotent."""
    db.session.execute(GIVE_BACK, {"name": name, "holder": holder})

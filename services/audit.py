"""The audit log: who did what, outside the ledger."""

import json
from typing import Any

from extensions import db
from models.audit import AuditEvent
from services.clock import wall_now
from services.unit_of_work import atomic


@atomic
def record(action: str, actor: str, account_id: int | None = None, **details: Any) -> None:
    """Write one deed down, in the unit of what was done.

    ``action`` is noun.verb; ``details`` are ids and plain values: no personal data, no secrets.
    """
    db.session.add(
        AuditEvent(
            actor=actor,
            action=action,
            account_id=account_id,
            details=json.dumps(details, sort_keys=True),
            created_at=wall_now(),
        )
    )

"""When a refused charge is tried again: days 1, 3, 5 and 7 after the first refusal. Pure calculation.

Source: docs/overage.md, dunning.
"""

from datetime import datetime, timedelta

DAYS = (1, 3, 5, 7)


def next_try(failing_since: datetime, retries: int) -> datetime | None:
    """When the next try is due after so many retries; None after the last."""
    return failing_since + timedelta(days=DAYS[retries]) if retries < len(DAYS) else None

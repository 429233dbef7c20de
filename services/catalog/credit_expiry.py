"""How a plan says that its credits expire: pure calculation. Source: docs/ledger.md, expiry."""

import re
from datetime import datetime, timedelta

EXPIRY_RULE = re.compile(r"never|period_end(?:\+([1-9]\d{0,2})d)?|([1-9]\d{0,3})d")


def credits_expire_at(rule: str, granted_at: datetime, period_end: datetime) -> datetime | None:
    """When a month's credits expire by a plan's rule: ``30d``, ``period_end``, ``period_end+3d``, ``never``.

    Raises ValueError for another rule.
    """
    match = EXPIRY_RULE.fullmatch(rule)
    if match is None:
        raise ValueError(f"{rule!r} is no rule such as 30d, period_end+3d or never")
    if rule == "never":
        return None
    if match[2]:
        return granted_at + timedelta(days=int(match[2]))
    return period_end + timedelta(days=int(match[1] or 0))

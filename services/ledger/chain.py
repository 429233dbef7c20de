"""The keyed chain over the journal: each line's MAC covers its facts and the line before.

The key is kept outside the database, apart from SECRET_KEY, so that whoever can write the database cannot
write a line that the proof accepts. Source: docs/ledger.md, journal.
"""

import hashlib
import hmac
from dataclasses import dataclass

MAC_VERSION = 1


@dataclass(frozen=True, slots=True)
class LotFacts:
    """What never changes about a lot; covered by the line that made it."""

    grant_id: int
    amount: int
    source: str
    priority: int
    expires_at: int | None
    created_at: int


class Key:
    """The ledger key and the id under which lines name it."""

    def __init__(self, secret: str):
        self._secret = secret.encode()
        self.id = hashlib.sha256(b"coffer ledger key id:" + self._secret).hexdigest()[:12]

    def sign(self, *values: int | str | None) -> str:
        """HMAC-SHA256 over the values, each with its length, so that no two lists read the same."""
        parts = ["-;" if value is None else f"{len(text := str(value))}:{text}" for value in values]
        return hmac.digest(self._secret, "".join(parts).encode(), "sha256").hex()


_key = Key("unset")


def use_key(secret: str) -> None:
    """Set the process's ledger key, once at start."""
    global _key
    _key = Key(secret)


def key() -> Key:
    """The process's ledger key."""
    return _key


def line_mac(
    previous_mac: str,
    facts: tuple[int | str | None, ...],
    allocations: list[tuple[int, int]],
    made: list[LotFacts],
) -> str:
    """The MAC of a journal line: version, previous MAC, facts, allocations (lot, amount), lots it made."""
    flat: list[int | str | None] = [MAC_VERSION, previous_mac, len(facts), *facts, len(allocations)]
    for grant_id, amount in allocations:
        flat += (grant_id, amount)
    flat.append(len(made))
    for lot in made:
        flat += (lot.grant_id, lot.amount, lot.source, lot.priority, lot.expires_at, lot.created_at)
    return _key.sign(*flat)


def head_mac(account_id: int, credit_type_id: int, last_sequence: int, mac: str) -> str:
    """The MAC under which a balance row keeps its last sequence and head."""
    return _key.sign("head", account_id, credit_type_id, last_sequence, mac)

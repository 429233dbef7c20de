"""A book: one account's page in one credit type, open for writing under the account lock.

Every ledger operation opens the books it needs, writes lines through them and closes them; nothing else
inserts into the journal or changes a balance row.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, insert, update

from models.ledger import Allocation, Balance, Grant, Transaction
from services.clock import to_microseconds
from services.ledger import chain
from services.ledger.chain import LotFacts
from services.money import check_limit
from services.statements import Statement

_balances = Balance.__table__.c
COUNTED_TYPES = (
    "purchase", "subscription", "overage", "usage", "refund",
    "adjustment", "bonus", "expiry", "transfer", "revocation",
)  # fmt: skip
KEPT = (
    "balance", "held", "subscription", "purchased", "granted", "used", "expired", "removed",
    "next_expiry_at", "last_sequence", "head_mac", *(f"{name}_lines" for name in COUNTED_TYPES),
)  # fmt: skip
# Read with the rest, but written only where an account has set them (spending_caps.py).
LIMITS = ("spending_cap", "cap_used", "cap_starts_at", "cap_ends_at")
READ = (*KEPT, *LIMITS)

_LINE_COLUMNS = (
    "account_id", "credit_type_id", "sequence", "type", "amount", "balance_before", "balance_after",
    "grant_id", "related_id", "task_id", "description", "quantity", "unit_cost", "payment_method",
    "metadata", "actor", "created_at", "mac_version", "mac_key_id", "mac",
)  # fmt: skip
INSERT_LINE = Statement(
    insert(Transaction.__table__)
    .values({name: bindparam(name) for name in _LINE_COLUMNS})
    .returning(Transaction.__table__.c.id)
)
INSERT_ALLOCATION = Statement(
    insert(Allocation.__table__).values(
        {name: bindparam(name) for name in ("transaction_id", "position", "grant_id", "amount")}
    )
)
_ROW = {name: bindparam(name) for name in (*KEPT, "mac")}
INSERT_BALANCE = Statement(
    insert(Balance.__table__).values(
        {"account_id": bindparam("account_id"), "credit_type_id": bindparam("credit_type_id"), **_ROW}
    )
)
UPDATE_BALANCE = Statement(
    update(Balance.__table__)
    .where(_balances.account_id == bindparam("of_account"), _balances.credit_type_id == bindparam("of_type"))
    .values(_ROW)
)
_LOT_COLUMNS = (
    "account_id", "credit_type_id", "source", "is_subscription", "amount", "remaining", "held", "revoked",
    "unrecovered", "priority", "expires_at", "created_at", "origin_grant_id", "payment_id",
)  # fmt: skip
INSERT_LOT = Statement(
    insert(Grant.__table__)
    .values({name: bindparam(name) for name in _LOT_COLUMNS})
    .returning(Grant.__table__.c.id)
)


@dataclass(slots=True)
class Line:
    """A journal line to write. ``allocations`` are (lot, signed amount, whether a subscription lot)."""

    type: str
    amount: int
    actor: str
    allocations: list[tuple[int, int, bool]]
    made: list[LotFacts] = field(default_factory=list)
    grant_id: int | None = None
    related_id: int | None = None
    task_id: str | None = None
    description: str = ""
    quantity: str | None = None
    unit_cost: str | None = None
    payment_method: str | None = None
    details: str | None = None


@dataclass(slots=True)
class NewLot:
    """A lot to make. ``expires_at`` in microseconds; None: never."""

    source: str
    amount: int
    priority: int
    expires_at: int | None
    is_subscription: bool
    origin_grant_id: int | None = None
    payment_id: int | None = None


class Book:
    """See the module. Units throughout; instants in microseconds."""

    def __init__(self, account_id: int, row: tuple, now: datetime):
        self.account_id = account_id
        self.now = now
        self.now_at = to_microseconds(now)
        self.status, self.credit_type_id, self.credit_type, self.scale = row[:4]
        kept = dict(zip(READ, row[4:], strict=True))
        self.is_new = kept["balance"] is None
        if self.is_new:
            kept |= dict.fromkeys(KEPT, 0) | {"next_expiry_at": None, "head_mac": ""}
        self.kept = kept

    @property
    def balance(self) -> int:
        """Held credits included."""
        return self.kept["balance"]

    @property
    def held(self) -> int:
        """Reserved by open holds."""
        return self.kept["held"]

    @property
    def available(self) -> int:
        """What a new spend or hold may take."""
        return self.kept["balance"] - self.kept["held"]

    @property
    def is_capped(self) -> bool:
        """Whether the account has set what it may spend a month."""
        return self.kept["spending_cap"] is not None

    def make_lot(self, lot: NewLot) -> LotFacts:
        """Insert a lot; the line that made it must name the returned facts."""
        cursor = INSERT_LOT.run(
            account_id=self.account_id, credit_type_id=self.credit_type_id, source=lot.source,
            is_subscription=lot.is_subscription, amount=lot.amount, remaining=lot.amount, held=0, revoked=0,
            unrecovered=0, priority=lot.priority, expires_at=lot.expires_at, created_at=self.now_at,
            origin_grant_id=lot.origin_grant_id, payment_id=lot.payment_id,
        )  # fmt: skip
        grant_id = cursor.fetchone()[0]
        cursor.close()
        self.note_expiry(lot.expires_at)
        return LotFacts(grant_id, lot.amount, lot.source, lot.priority, lot.expires_at, self.now_at)

    def note_expiry(self, expires_at: int | None) -> None:
        """Keep the soonest instant at which something of this book ends."""
        soonest = self.kept["next_expiry_at"]
        if expires_at is not None and (soonest is None or expires_at < soonest):
            self.kept["next_expiry_at"] = expires_at

    def write(self, line: Line) -> int:
        """Append a line with its allocations and return its id."""
        row = self.prepared(line)
        cursor = INSERT_LINE.run(**row)
        transaction_id = cursor.fetchone()[0]
        cursor.close()
        for position, (grant_id, amount, _) in enumerate(line.allocations):
            INSERT_ALLOCATION.defer(
                transaction_id=transaction_id, position=position, grant_id=grant_id, amount=amount
            )
        return transaction_id

    def prepared(self, line: Line) -> dict:
        """The row of a line, chained to the one before; moves the book's position forward."""
        kept = self.kept
        before = kept["balance"]
        after = before + line.amount
        _add_to_totals(kept, line)
        check_limit(after)
        kept["balance"] = after
        kept["last_sequence"] += 1
        facts = (
            self.account_id, self.credit_type_id, kept["last_sequence"], line.type, line.amount, before,
            after, line.grant_id, line.related_id, line.task_id, line.description, line.quantity,
            line.unit_cost, line.payment_method, line.details, line.actor, self.now_at,
        )  # fmt: skip
        pairs = [(grant_id, amount) for grant_id, amount, _ in line.allocations]
        mac = chain.line_mac(kept["head_mac"], facts, pairs, line.made)
        kept["head_mac"] = mac
        return dict(zip(_LINE_COLUMNS, (*facts, chain.MAC_VERSION, chain.key().id, mac), strict=True))

    def close(self) -> None:
        """Write the balance row."""
        kept = self.kept
        mac = chain.head_mac(self.account_id, self.credit_type_id, kept["last_sequence"], kept["head_mac"])
        if self.is_new:
            INSERT_BALANCE.defer(
                account_id=self.account_id, credit_type_id=self.credit_type_id, mac=mac, **kept
            )
            self.is_new = False
        else:
            UPDATE_BALANCE.defer(of_account=self.account_id, of_type=self.credit_type_id, mac=mac, **kept)


def _add_to_totals(kept: dict, line: Line) -> None:
    """Keep balance = purchased + granted - used - expired - removed, and the counters of lines."""
    amount = line.amount
    match line.type:
        case "purchase" | "overage":
            total, change = "purchased", amount
        case "usage" | "refund":
            total, change = "used", -amount
        case "expiry":
            total, change = "expired", -amount
        case "revocation":
            total, change = "removed", -amount
        case _:
            total, change = ("granted", amount) if amount > 0 else ("removed", -amount)
    kept[total] += change
    check_limit(kept[total])
    if total in ("purchased", "granted"):
        # What goes out cannot pass what came in, so no spend or expiry ever meets a cap.
        check_limit(kept["purchased"] + kept["granted"])
    kept[f"{line.type}_lines"] += 1
    for _, part, is_subscription in line.allocations:
        if is_subscription:
            kept["subscription"] += part

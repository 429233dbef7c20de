"""The journal, line by line: sequence, running balance, signature, allocations; and each page's totals.

Lines come in chunks by keyset, in the order of their pages, so a ledger of any size takes the same memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import text

from services.ledger import chain
from services.ledger.book import COUNTED_TYPES
from services.ledger.chain import LotFacts
from services.ledger.proof.heads import Heads
from services.ledger.proof.report import Tally
from services.ledger.proof.snapshot import Snapshot
from services.statements import Statement

CHUNK_LINES = 2_000
FACTS = 17
# The facts in the order in which they were signed. A lot is made by the line that first filled it.
LINES = Statement(
    text(
        """
        SELECT t.account_id, t.credit_type_id, t.sequence, t.type, t.amount, t.balance_before,
               t.balance_after, t.grant_id, t.related_id, t.task_id, t.description, t.quantity, t.unit_cost,
               t.payment_method, t.metadata, t.actor, t.created_at, t.mac_version, t.mac_key_id, t.mac, t.id,
               a.grant_id, a.amount, g.account_id, g.credit_type_id, g.is_subscription,
               CASE WHEN a.amount > 0 AND g.created_at = t.created_at AND NOT EXISTS (
                   SELECT 1 FROM allocations e
                   WHERE e.grant_id = a.grant_id AND e.transaction_id < a.transaction_id
               ) THEN 1 END, g.amount, g.source, g.priority, g.expires_at, g.created_at
        FROM (
            SELECT * FROM transactions
            WHERE (account_id, credit_type_id, sequence) > (:account_id, :credit_type_id, :sequence)
            ORDER BY account_id, credit_type_id, sequence LIMIT :most
        ) t
        LEFT JOIN allocations a ON a.transaction_id = t.id
        LEFT JOIN grants g ON g.id = a.grant_id
        ORDER BY t.account_id, t.credit_type_id, t.sequence, a.position
        """
    )
)
COUNT_ALLOCATIONS = Statement(text("SELECT count(*) FROM allocations"))
LOST_ALLOCATIONS = Statement(
    text(
        "SELECT a.transaction_id, a.grant_id, g.account_id, g.credit_type_id FROM allocations a "
        "LEFT JOIN grants g ON g.id = a.grant_id "
        "WHERE NOT EXISTS (SELECT 1 FROM transactions t WHERE t.id = a.transaction_id) LIMIT 1000"
    )
)


@dataclass(slots=True)
class Page:
    """What the lines of one account and credit type add up to."""

    account_id: int
    credit_type_id: int
    sequence: int = 0
    balance: int = 0
    lines_sum: int = 0
    head_mac: str = ""
    subscription: int = 0
    totals: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("purchased", "granted", "used", "expired", "removed"), 0)
    )
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED_TYPES, 0))


@dataclass(slots=True)
class _Line:
    row: tuple
    allocations: list[tuple[int, int]]
    made: list[LotFacts]
    subscription: int = 0
    strange_lots: list[int] = field(default_factory=list)


class JournalCheck:
    """Walks the journal; ``pages`` yields each page when its last line was checked."""

    def __init__(self, snapshot: Snapshot, heads: Heads):
        self._snapshot = snapshot
        self._heads = heads
        self.line_count = 0
        self.sequence = Tally("sequence", "lines are numbered from 1 without a gap", "lines")
        self.running = Tally("running balance", "each line starts where the one before ended", "lines")
        self.signature = Tally("signature", "each line and the lots it made are as they were signed", "lines")
        self.allocations = Tally(
            "allocations", "each line's parts add up to it and touch lots of its own page", "allocations"
        )
        self.heads = Tally("heads", "the journal still holds what was noted outside the database", "heads")

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """The checks that this walk makes."""
        return self.sequence, self.running, self.signature, self.allocations, self.heads

    def pages(self) -> Iterator[Page]:
        """Check every line; each page when it is complete."""
        page: Page | None = None
        waiting = dict(self._heads)
        for line in self._lines():
            account_id, credit_type_id = line.row[0], line.row[1]
            if page is None or page.account_id != account_id or page.credit_type_id != credit_type_id:
                if page is not None:
                    yield page
                page = Page(account_id, credit_type_id)
            self._check_line(page, line)
            head = waiting.get((account_id, credit_type_id))
            if head is not None and page.sequence >= head.sequence:
                del waiting[account_id, credit_type_id]
                self._check_head(page, head.sequence, head.mac, line.row[2])
        if page is not None:
            yield page
        for (account_id, credit_type_id), head in waiting.items():
            self.heads.checked += 1
            self._fail(
                self.heads, account_id, credit_type_id, f"line {head.sequence}",
                "the journal was cut off: this line was there when the heads were last noted",
            )  # fmt: skip
        self._check_lost_allocations()

    def _lines(self) -> Iterator[_Line]:
        after = {"account_id": 0, "credit_type_id": 0, "sequence": -(2**62)}
        while True:
            rows = self._snapshot.all(LINES, **after, most=CHUNK_LINES)
            if not rows:
                return
            line = None
            for row in rows:
                if line is None or line.row[20] != row[20]:
                    if line is not None:
                        yield line
                    line = _Line(row[:21], [], [])
                if row[21] is not None:
                    _add_allocation(line, row)
            assert line is not None
            yield line
            after = {"account_id": row[0], "credit_type_id": row[1], "sequence": row[2]}

    def _check_line(self, page: Page, line: _Line) -> None:
        row = line.row
        _, _, sequence, line_type, amount, before, after = row[:7]
        self.line_count += 1
        where = (page.account_id, page.credit_type_id, f"line {sequence} (transaction {row[20]})")
        if sequence != page.sequence + 1:
            self._fail(
                self.sequence, *where, f"follows line {page.sequence}: lines between are missing or moved"
            )
        if before != page.balance or after != before + amount:
            self._fail(
                self.running, *where,
                f"goes from {before} by {amount} to {after}; the line before ended at {page.balance}",
            )  # fmt: skip
        self._check_signature(page, line, where)
        self._check_allocations(line, where)
        page.sequence = sequence
        page.balance = after
        page.lines_sum += amount
        page.head_mac = row[19]
        page.subscription += line.subscription
        _add_up(page, line_type, amount)

    def _check_signature(self, page: Page, line: _Line, where: tuple[int, int, str]) -> None:
        row = line.row
        if row[18] != chain.key().id:
            self._fail(self.signature, *where, f"is signed with a key that is not this one ({row[18]})")
        elif row[17] != chain.MAC_VERSION:
            self._fail(self.signature, *where, f"is signed in an unknown form ({row[17]})")
        elif chain.line_mac(page.head_mac, row[:FACTS], line.allocations, line.made) != row[19]:
            lots = ", ".join(str(grant_id) for grant_id, _ in line.allocations) or "none"
            self._fail(
                self.signature, *where,
                f"is not as it was signed: it, the line before it, its parts or its lots ({lots}) changed",
            )  # fmt: skip

    def _check_allocations(self, line: _Line, where: tuple[int, int, str]) -> None:
        amount = line.row[4]
        self.allocations.checked += len(line.allocations)
        total = 0
        for _, part in line.allocations:
            total += part
            if (part > 0) != (amount > 0):
                self._fail(self.allocations, *where, f"is of {amount} but has a part of {part}")
        if total != amount:
            self._fail(self.allocations, *where, f"is of {amount}; its parts add up to {total}")
        for grant_id in line.strange_lots:
            self._fail(self.allocations, *where, f"touches lot {grant_id}, which is not of its page")

    def _check_head(self, page: Page, sequence: int, mac: str, reached: int) -> None:
        self.heads.checked += 1
        if reached != sequence or page.head_mac != mac:
            self._fail(
                self.heads, page.account_id, page.credit_type_id, f"line {sequence}",
                "is another line than when the heads were last noted: the journal was rewritten",
            )  # fmt: skip

    def _check_lost_allocations(self) -> None:
        counted = self._snapshot.first(COUNT_ALLOCATIONS)
        if counted is not None and counted[0] == self.allocations.checked:
            return
        for transaction_id, grant_id, account_id, credit_type_id in self._snapshot.all(LOST_ALLOCATIONS):
            self._fail(
                self.allocations, account_id, credit_type_id, f"lot {grant_id}",
                f"has a part of transaction {transaction_id}, which does not exist",
            )  # fmt: skip

    def _fail(self, tally: Tally, account_id: int, credit_type_id: int, subject: str, message: str) -> None:
        tally.fail(message, account_id, self._snapshot.credit_types.get(credit_type_id), subject)


def _add_allocation(line: _Line, row: tuple) -> None:
    grant_id, amount = row[21], row[22]
    line.allocations.append((grant_id, amount))
    if row[25]:
        line.subscription += amount
    if row[23] != row[0] or row[24] != row[1]:
        line.strange_lots.append(grant_id)
    if row[26]:
        line.made.append(LotFacts(grant_id, *row[27:32]))


def _add_up(page: Page, line_type: str, amount: int) -> None:
    """The totals, by the rule and not by the code that keeps them."""
    totals = page.totals
    if line_type in ("usage", "refund"):
        totals["used"] -= amount
    elif line_type in ("purchase", "overage"):
        totals["purchased"] += amount
    elif line_type == "expiry":
        totals["expired"] -= amount
    elif line_type == "revocation" or amount < 0:
        totals["removed"] -= amount
    else:
        totals["granted"] += amount
    page.counts[line_type] = page.counts.get(line_type, 0) + 1

"""The proof: every rule of the ledger checked over all of it. No line, lot or balance is ever changed.

``verify_ledger`` checks; ``prove_and_note`` is what the command, the job and the page call: check, then note
the heads where all is well, or park the accounts where it is not. Source: docs/ledger.md, proof.
"""

from pathlib import Path

from services.clock import wall_now
from services.ledger.proof.heads import (
    HEADS_FILE,
    Head,
    Heads,
    HeadsContradicted,
    HeadsDamaged,
    read_heads,
    write_heads,
)
from services.ledger.proof.journal import JournalCheck
from services.ledger.proof.parking import park_accounts
from services.ledger.proof.report import Check, Failure, ProofReport, Tally
from services.ledger.proof.rules import RULES, check_rule
from services.ledger.proof.snapshot import Snapshot, snapshot
from services.ledger.proof.storage import check_integrity, check_triggers
from services.ledger.proof.totals import BalanceCheck

__all__ = [
    "HEADS_FILE",
    "Check",
    "Failure",
    "Head",
    "HeadsContradicted",
    "HeadsDamaged",
    "ProofReport",
    "park_accounts",
    "prove_and_note",
    "read_heads",
    "verify_ledger",
    "write_heads",
]


def verify_ledger(heads: Heads | None) -> ProofReport:
    """Check every rule over the whole ledger as it is now, while the app goes on.

    ``heads`` are those noted outside the database; None: there are none to compare with.
    """
    with snapshot() as view:
        return _verify(view, heads or {}, ())


def prove_and_note(heads_path: Path, actor: str) -> ProofReport:
    """Verify against the noted heads; then note the new ones, or park the accounts that failed."""
    damage: tuple[Tally, ...] = ()
    heads = None
    try:
        heads = read_heads(heads_path)
    except HeadsDamaged as error:
        damage = (Tally("heads file", "what was noted outside the database can be trusted", "files", 1),)
        damage[0].fail(str(error))
    with snapshot() as view:
        report = _verify(view, heads or {}, damage)
    if report.passed:
        write_heads(heads_path)
    else:
        park_accounts(report, actor)
    return report


def _verify(view: Snapshot, heads: Heads, before: tuple[Tally, ...]) -> ProofReport:
    started_at = wall_now()
    journal = JournalCheck(view, heads)
    balances = BalanceCheck(view)
    for page in journal.pages():
        balances.check(page)
    balances.check_rows_without_lines()
    for tally in (journal.sequence, journal.running, journal.signature):
        tally.checked = journal.line_count
    tallies = (
        *before,
        *journal.tallies,
        *balances.tallies,
        *(check_rule(view, rule) for rule in RULES),
        check_triggers(view),
        check_integrity(view),
    )
    return ProofReport(
        tuple(tally.finished() for tally in tallies),
        frozenset().union(*(tally.account_ids for tally in tallies)),
        journal.line_count,
        (wall_now() - started_at).total_seconds(),
    )

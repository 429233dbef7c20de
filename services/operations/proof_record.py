"""The latest proof, kept so that a page can show it: when, by whom, what was checked, what failed."""

import dataclasses
import json
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from errors import CofferError
from services.clock import iso, wall_now
from services.ledger.proof import Check, Failure, ProofReport, prove_and_note
from services.operations.facts import fact, set_fact

logger = logging.getLogger("coffer.ledger")
LAST_PROOF = "last_proof"
FAILURES_KEPT = 20


@dataclass(frozen=True, slots=True)
class LastProof:
    """A proof as it was. ``made_at`` is by the wall clock."""

    made_at: datetime
    actor: str
    lines: int
    seconds: float
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


def prove_and_keep(heads_path: Path, actor: str) -> ProofReport:
    """Prove the whole ledger, note the heads or park accounts, and keep what was found for the page."""
    report = prove_and_note(heads_path, actor)
    try:
        set_fact(LAST_PROOF, json.dumps(_document(report, actor)))
    except (CofferError, DBAPIError) as error:
        # What the proof found stands, whether or not this database can still be written.
        logger.warning("The proof could not be kept for the console: %s", error)
    return report


def last_proof() -> LastProof | None:
    """The latest proof; None before the first."""
    kept = fact(LAST_PROOF)
    if kept is None:
        return None
    document = json.loads(kept)
    checks = tuple(
        Check(**check | {"failures": tuple(Failure(**failure) for failure in check["failures"])})
        for check in document["checks"]
    )
    made_at = datetime.fromisoformat(document["made_at"])
    return LastProof(made_at, document["actor"], document["lines"], document["seconds"], checks)


def _document(report: ProofReport, actor: str) -> dict[str, object]:
    checks = [
        dataclasses.asdict(dataclasses.replace(check, failures=check.failures[:FAILURES_KEPT]))
        for check in report.checks
    ]
    return {
        "made_at": iso(wall_now()), "actor": actor, "lines": report.line_count,
        "seconds": round(report.seconds, 3), "checks": checks,
    }  # fmt: skip

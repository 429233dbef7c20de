"""verify-ledger: the nightly proof."""

from flask import Flask

from config import Settings
from services.ledger.proof import HEADS_FILE
from services.operations.proof_record import prove_and_keep


class LedgerNotWhole(Exception):
    """The proof found something; the accounts concerned are parked."""


def run(app: Flask) -> str:
    """Prove the ledger, note its heads. Raises LedgerNotWhole, so that the run shows as failed."""
    settings: Settings = app.extensions["settings"]
    report = prove_and_keep(settings.instance_dir / HEADS_FILE, "job:verify-ledger")
    *_, verdict = report.lines()
    if not report.passed:
        raise LedgerNotWhole("; ".join([verdict, *map(str, report.failures[:5])]))
    return verdict

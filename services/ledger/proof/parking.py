"""Parking: an account that failed a proof is read only until a person has looked. Nothing repairs itself."""

from sqlalchemy import bindparam, update

from models.accounts import Account
from services.audit import record
from services.ledger.opening import lock_accounts
from services.ledger.proof.report import ProofReport
from services.statements import Statement
from services.unit_of_work import atomic

_accounts = Account.__table__.c
PARK = Statement(
    update(Account.__table__)
    .where(_accounts.id == bindparam("account_id"), _accounts.status != "parked")
    .values(status="parked")
)


@atomic
def park_accounts(report: ProofReport, actor: str) -> list[int]:
    """Park every account of a report for which something failed; returns those newly parked.

    Idempotent: an account that is parked stays so and is not written down again.
    """
    account_ids = sorted(report.account_ids)
    lock_accounts(*account_ids)
    parked = [account_id for account_id in account_ids if PARK.count(account_id=account_id)]
    for account_id in parked:
        wrong = [str(failure) for failure in report.failures if failure.account_id == account_id]
        record("account.parked", actor, account_id, failures=wrong[:20])
    return parked

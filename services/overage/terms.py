"""How an account is billed for credits bought now and paid later. Source: docs/overage.md, terms."""

from dataclasses import dataclass

from errors import Conflict, InvalidRequest, NotFound
from extensions import db
from models.accounts import Account
from models.agencies import SETTLEMENT_MODES, BillingTerms
from services.audit import record
from services.ledger.opening import lock_accounts
from services.unit_of_work import atomic

MAX_OWED_CENTS = 10**12


@dataclass(frozen=True, slots=True)
class Terms:
    """Units: ``owed_limit_cents`` in minor units, None for no limit. ``settlement_mode``: of an agency."""

    owed_limit_cents: int | None = None
    cycle_day: int = 1
    settlement_mode: str = "collected"
    connected_account: str | None = None


def terms_of(account_id: int) -> Terms:
    """The account's terms; the defaults where nobody set any."""
    row = db.session.get(BillingTerms, account_id, populate_existing=True)
    if row is None:
        return Terms()
    return Terms(row.owed_limit_cents, row.cycle_day, row.settlement_mode, row.stripe_connected_account_id)


@atomic
def set_owed_limit(account_id: int, cents: int | None, actor: str) -> None:
    """Limit what an account may owe at once; None lifts the limit. Raises InvalidRequest, NotFound."""
    if cents is not None and not 0 <= cents <= MAX_OWED_CENTS:
        raise InvalidRequest.of("owed_limit", "must be an amount of money, or nothing for no limit")
    _row(account_id).owed_limit_cents = cents
    record("terms.owed_limit", actor, account_id, cents=cents)


@atomic
def set_cycle_day(account_id: int, day: int, actor: str) -> None:
    """On which day of the month cycles begin, from the next purchase on. Raises InvalidRequest, NotFound."""
    if not 1 <= day <= 31:
        raise InvalidRequest.of("cycle_day", "must be a day of the month, 1 to 31")
    _row(account_id).cycle_day = day
    record("terms.cycle_day", actor, account_id, day=day)


@atomic
def set_settlement(agency_id: int, mode: str, connected_account: str | None, actor: str) -> None:
    """Who collects what an agency's clients owe, for what they buy from now on.

    ``collected``: the owner of this instance, who owes the agency its margin. ``connected``: the agency's own
    Stripe account, less the cost. ``own_billing``: the agency itself, which is charged the cost.
    Raises InvalidRequest, NotFound, Conflict for an account that is no agency.
    """
    if mode not in SETTLEMENT_MODES:
        raise InvalidRequest.of("settlement_mode", f"must be one of {', '.join(SETTLEMENT_MODES)}")
    if mode == "connected" and not (connected_account or "").startswith("acct_"):
        raise InvalidRequest.of("connected_account", "must be the id of a Stripe account, acct_…")
    row = _row(agency_id)
    if db.session.get_one(Account, agency_id).kind != "agency":
        raise Conflict("Only an agency settles.")
    row.settlement_mode, row.stripe_connected_account_id = mode, connected_account or None
    record("terms.settlement", actor, agency_id, mode=mode, connected_account=connected_account)


def _row(account_id: int) -> BillingTerms:
    if db.session.get(Account, account_id) is None:
        raise NotFound("There is no such account.")
    lock_accounts(account_id)
    row = db.session.get(BillingTerms, account_id, populate_existing=True)
    if row is None:
        row = BillingTerms(account_id=account_id, cycle_day=1, settlement_mode="collected")
        db.session.add(row)
    return row

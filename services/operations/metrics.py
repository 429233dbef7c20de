"""Figures about an instance in Prometheus' text format."""

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy import func, select

from extensions import db
from models.accounts import Account
from models.catalog import CreditType
from models.inbox import INBOX_STATES, InboxEvent
from models.ledger import Balance
from services.clock import wall_now
from services.money import from_units
from services.operations.clock_guard import paused_because
from services.operations.job_runs import latest_runs


def metrics_text() -> bytes:
    """Accounts, credits outstanding and held, events by state, the last run of each job."""
    registry = CollectorRegistry()
    _ledger(registry)
    _jobs(registry)
    events = Gauge("coffer_inbox_events", "Stripe's events by state", ["state"], registry=registry)
    for state in INBOX_STATES:
        events.labels(state).set(0)
    for state, number in db.session.execute(
        select(InboxEvent.state, func.count()).group_by(InboxEvent.state)
    ):
        events.labels(state).set(number)
    return generate_latest(registry)


def _ledger(registry: CollectorRegistry) -> None:
    accounts = Gauge("coffer_accounts", "Accounts", registry=registry)
    accounts.set(db.session.scalar(select(func.count()).select_from(Account)) or 0)
    outstanding = Gauge(
        "coffer_credits_outstanding", "Balances of all accounts", ["credit_type"], registry=registry
    )
    held = Gauge("coffer_credits_held", "Reserved by open holds", ["credit_type"], registry=registry)
    rows = db.session.execute(
        select(CreditType.code, CreditType.scale, func.sum(Balance.balance), func.sum(Balance.held))
        .join_from(CreditType, Balance, Balance.credit_type_id == CreditType.id, isouter=True)
        .group_by(CreditType.code, CreditType.scale)
    )
    for code, scale, balance, reserved in rows:
        outstanding.labels(code).set(from_units(int(balance or 0), scale))
        held.labels(code).set(from_units(int(reserved or 0), scale))


def _jobs(registry: CollectorRegistry) -> None:
    ended = Gauge(
        "coffer_job_last_run_age_seconds", "Since the last run began", ["job"], registry=registry
    )  # fmt: skip
    failed = Gauge("coffer_job_failed", "1 where the last run failed", ["job"], registry=registry)
    now = wall_now()
    for name, run in latest_runs().items():
        ended.labels(name).set((now - run.started_at).total_seconds())
        failed.labels(name).set(run.state == "failed")
    paused = Gauge("coffer_clock_paused", "1 while the clock is not trusted", registry=registry)
    paused.set(paused_because() is not None)

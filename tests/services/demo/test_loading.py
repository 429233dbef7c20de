"""The demo is an honest history: bought, granted and spent through the services."""

from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from errors import Conflict
from extensions import db
from gateways.payments import Terms
from gateways.stripe_gateway import StripeGateway
from models.accounts import Account
from models.billing import Order, Payment
from models.ledger import Transaction
from sandbox import SandboxServer
from sandbox.paying import pay_checkout
from services import clock
from services.accounts.api_keys import caller_of
from services.demo.history import DAYS
from services.demo.loading import Demo, load_demo
from services.ledger.balances import balance_of
from services.ledger.proof import verify_ledger
from services.unit_of_work import unit_is_open
from tests.conftest import make_account, running_app, settings_for
from tests.shop import BASE_URL, KEY


def load(folder: Path) -> Demo:
    """The demo of a new database, paid for at a sandbox of its own."""
    server = SandboxServer(folder / "sandbox.sqlite", KEY, now=clock.business_now).start()
    try:
        payments = StripeGateway(KEY, server.base_url, Terms(base_url=BASE_URL), unit_is_open)
        return load_demo(payments, lambda session_id: pay_checkout(server.store, session_id))
    finally:
        server.stop()


def account(slug: str) -> int:
    found = db.session.scalar(select(Account.id).where(Account.slug == slug))
    assert found is not None
    return found


def shape() -> list[tuple[str, str, int, str | None]]:
    """What happened, without ids and times."""
    rows = db.session.execute(
        select(Account.slug, Transaction.type, Transaction.amount, Transaction.task_id)
        .join(Account, Account.id == Transaction.account_id)
        .order_by(Transaction.id)
    )
    return [tuple(row) for row in rows]


def test_demo_has_a_case_for_every_page_and_passes_the_proof(app: Flask, tmp_path: Path) -> None:
    demo = load(tmp_path)
    report = verify_ledger(None)
    assert report.passed, report.lines()
    assert balance_of(account("northwind"), "credits").available > 500
    assert balance_of(account("juniper"), "credits").available == 200
    types = set(db.session.scalars(select(Transaction.type)))
    assert {"purchase", "subscription", "usage", "refund", "bonus"} <= types
    kinds = db.session.scalars(select(Payment.kind)).all()
    assert sorted(kinds) == ["manual"] * 2 + ["package"] * 3 + ["subscription"] * 2
    assert set(db.session.scalars(select(Order.status))) == {"paid"}
    assert len({login.password for login in demo.logins}) == len(demo.logins) == 3
    assert caller_of(demo.api_key).account_id == account("northwind")


def test_history_spans_weeks_and_ends_today_at_the_latest(app: Flask, tmp_path: Path) -> None:
    load(tmp_path)
    first, last = db.session.execute(
        select(func.min(Transaction.created_at), func.max(Transaction.created_at))
    ).one()
    assert clock.business_now() - first >= timedelta(days=DAYS - 1)
    assert last <= clock.business_now()


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(days=40)])
def test_clock_stands_where_it_stood(app: Flask, tmp_path: Path, offset: timedelta) -> None:
    clock.set_business_offset(offset)
    load(tmp_path)
    assert abs(clock.business_now() - clock.wall_now() - offset) < timedelta(seconds=1)


def test_clock_stands_where_it_stood_after_a_failure(app: Flask) -> None:
    class Broken:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError("no provider")

    with pytest.raises(RuntimeError):
        load_demo(Broken(), lambda session_id: None)  # type: ignore[arg-type]
    assert abs(clock.business_now() - clock.wall_now()) < timedelta(seconds=1)


def test_database_with_an_account_is_left_alone(app: Flask, tmp_path: Path) -> None:
    make_account("already-here")
    with pytest.raises(Conflict):
        load(tmp_path)
    assert db.session.scalar(select(func.count(Account.id))) == 1


def test_two_demos_tell_the_same(tmp_path: Path) -> None:
    told = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for _ in running_app(settings_for(tmp_path / name)):
            load(tmp_path / name)
            told.append(shape())
    assert told[0] == told[1] and len(told[0]) > 80

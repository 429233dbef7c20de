"""What must add up, whatever happened: what clients were charged, what statements say, what Stripe took."""

from collections import Counter
from typing import Any

from sqlalchemy import func, select

from extensions import db
from models.billing import Payment
from models.overage import Charge, OveragePurchase, Statement, StatementLine
from tests.conftest import assert_ledger_is_whole
from tests.shop import Shop


def taken(shop: Shop) -> dict[str, int]:
    """Money that Stripe took, by charge. Units: minor units."""
    sums: Counter[str] = Counter()
    for invoice in shop.server.store.all("invoice"):
        name = invoice["metadata"].get("charge")
        if name and invoice["status"] == "paid":
            sums[name] += invoice["amount_paid"]
    return dict(sums)


def invoices(shop: Shop) -> list[dict[str, Any]]:
    """The invoices of charges at Stripe, oldest first."""
    found = [each for each in shop.server.store.all("invoice") if each["metadata"].get("charge")]
    return sorted(found, key=lambda each: each["created"])


def assert_money_adds_up(shop: Shop) -> None:
    """Each purchase is demanded once, each charge paid once, each statement says what its purchases say."""
    db.session.rollback()
    assert_ledger_is_whole()
    made = invoices(shop)
    names = Counter(each["metadata"]["charge"] for each in made if each["status"] != "void")
    assert all(count == 1 for count in names.values()), f"two invoices for one charge: {names}"
    money = taken(shop)
    for charge in db.session.scalars(select(Charge)):
        if charge.kind == "client":
            rows = db.session.scalars(
                select(OveragePurchase).where(OveragePurchase.charge_id == charge.id)
            ).all()
            assert sum(row.price_cents for row in rows) == charge.amount_cents
            assert {row.client_account_id for row in rows} == {charge.account_id}
        if charge.status == "charged":
            assert money[charge.public_id] == charge.amount_cents
            payment = db.session.get_one(Payment, charge.payment_id)
            assert (payment.amount_cents, payment.account_id) == (charge.amount_cents, charge.account_id)
        else:
            assert money.get(charge.public_id, 0) == 0, f"{charge.status} but paid"
    for statement in db.session.scalars(select(Statement)):
        rows = db.session.scalars(
            select(OveragePurchase).where(OveragePurchase.statement_id == statement.id)
        ).all()
        lines = db.session.scalars(
            select(StatementLine).where(StatementLine.statement_id == statement.id)
        ).all()
        listed = [line for line in lines if line.kind == "purchase"]
        assert sum(line.cost_cents for line in listed) == sum(row.cost_cents for row in rows)
        assert sum(line.price_cents for line in listed) == sum(row.price_cents for row in rows)
        assert sum(line.due_cents for line in lines) == statement.due_to_agency_cents
    payments = db.session.scalar(
        select(func.count(Payment.id)).where(
            Payment.kind == "overage", Payment.stripe_invoice_id.is_not(None)
        )
    )
    assert payments == len(money)

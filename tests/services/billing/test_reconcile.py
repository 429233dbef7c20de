"""The comparison with the provider mends what was missed, and lists what it cannot mend."""

from flask import Flask
from sqlalchemy import delete, update

from extensions import db
from jobs.schedule import job_named
from models.billing import Order, Payment
from models.inbox import InboxEvent
from services.billing.purchases import fulfil_checkout
from services.billing.reconcile import last_reconciliation, reconcile
from services.operations.facts import fact, set_fact
from services.operations.restore import PAYMENTS_PAUSED
from tests.shop import Shop, end_state


def kinds(shop: Shop) -> list[tuple[str, bool]]:
    db.session.rollback()
    return [(finding.kind, finding.is_settled) for finding in reconcile(shop.payments).findings]


def paid(shop: Shop) -> str:
    started = shop.start()
    shop.pay(started.session_id)
    return started.session_id


class TestReconcile:
    def test_what_was_paid_but_never_told_is_credited_once(self, either_shop: Shop) -> None:
        paid(either_shop)
        assert ("event", True) in kinds(either_shop)
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]
        assert kinds(either_shop) == []
        assert end_state()["lots"] == [(1000, 1000, 0, 0)]

    def test_even_where_the_events_came_and_were_lost(self, either_shop: Shop) -> None:
        paid(either_shop)
        reconcile(either_shop.payments)
        before = end_state()
        started = either_shop.start(key="form-2")
        either_shop.pay(started.session_id)
        reconcile(either_shop.payments)
        assert len(end_state()["lots"]) == len(before["lots"]) + 1
        assert last_reconciliation().open_findings == 0

    def test_a_refund_nobody_told_of_is_recorded(self, either_shop: Shop) -> None:
        session_id = paid(either_shop)
        fulfil_checkout(session_id, "user:1", either_shop.payments)
        either_shop.refund(session_id, amount=700)
        for event in either_shop.events():
            either_shop.deliver(event)
        db.session.execute(update(Payment).values(refunded_cents=0, status="paid"))
        db.session.commit()
        assert kinds(either_shop) == [("refund", True)]
        assert end_state()["payments"] == [("partially_refunded", 3500, 700, None)]
        assert end_state()["lots"] == [(1000, 800, 200, 0)]

    def test_what_is_credited_but_unknown_is_listed(self, shop: Shop) -> None:
        session_id = paid(shop)
        fulfil_checkout(session_id, "user:1", shop.payments)
        for event in shop.events():
            shop.deliver(event)
        db.session.execute(update(Payment).values(stripe_session_id="cs_gone"))
        db.session.execute(update(Order).values(stripe_session_id=None))
        db.session.commit()
        assert ("payment", False) in kinds(shop)

    def test_an_order_that_is_not_here_is_listed(self, shop: Shop) -> None:
        paid(shop)
        db.session.execute(delete(Order))
        db.session.commit()
        found = kinds(shop)
        assert ("checkout", False) in found
        assert end_state()["lots"] == []

    def test_a_flagged_order_is_listed(self, shop: Shop) -> None:
        shop.start()
        db.session.execute(update(Order).values(status="flagged", flag="Another amount."))
        db.session.commit()
        assert kinds(shop) == [("order", False)]

    def test_events_of_another_instance_are_left_alone(self, shop: Shop) -> None:
        shop.payments._client.v1.payment_intents.create(
            {"amount": 500, "currency": "usd", "metadata": {"coffer_instance": "another"}}
        )
        assert kinds(shop) == []
        assert db.session.query(InboxEvent).count() == 0

    def test_what_a_restore_has_paused_goes_on(self, app: Flask, shop: Shop) -> None:
        set_fact(PAYMENTS_PAUSED, "restored from copy.sqlite")
        assert "compared" in job_named("reconcile").run(app)
        assert fact(PAYMENTS_PAUSED) is None

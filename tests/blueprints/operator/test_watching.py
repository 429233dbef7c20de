"""What an operator watches: figures, events, jobs, the proof, the audit log, settings."""

import time
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from extensions import db
from models.billing import Payment
from models.inbox import InboxEvent
from models.jobs import JobRun
from models.ledger import Transaction
from services.billing.inbox import store_event
from services.clock import business_now
from services.ledger.grants import Incoming, grant_credits
from services.operations.job_runs import latest_runs
from tests.visitor import Visitor, fresh, make_person


def body(event_id: str = "evt_1", kind: str = "plan.created") -> str:
    return f'{{"id": "{event_id}", "type": "{kind}", "data": {{"object": {{"id": "obj_1"}}}}}}'


def paid(account_id: int, cents: int, *, refunded: int = 0, days_ago: int = 0, currency: str = "usd") -> None:
    moment = business_now() - timedelta(days=days_ago)
    db.session.add(
        Payment(
            public_id=f"p{cents}-{days_ago}", account_id=account_id, description="x", amount_cents=cents,
            refunded_cents=refunded, currency=currency, status="paid", created_at=moment, paid_at=moment,
        )
    )  # fmt: skip
    db.session.commit()


class TestFigures:
    def test_credits_and_revenue_are_summed(self, operator: Visitor, account_id: int) -> None:
        soon = business_now() + timedelta(days=3)
        for amount, expires_at in ((1200, None), (34, soon)):
            grant_credits(
                Incoming(account_id=account_id, credit_type="credits", amount=amount, source="bonus",
                         actor="command", expires_at=expires_at)
            )  # fmt: skip
        paid(account_id, 2000, refunded=500)
        paid(account_id, 900, days_ago=3)
        paid(account_id, 70000, days_ago=45)
        page = operator.get("/operator").text
        assert ">1,234<" in page and ">34<" in page
        assert "$24.00" in page and "$29.00" in page and "$5.00" in page
        assert "$700.00" not in page

    def test_a_new_instance_has_a_page_too(self, operator: Visitor) -> None:
        assert operator.get("/operator").status_code == 200

    def test_what_failed_is_counted(self, operator: Visitor, account_id: int) -> None:
        store_event(body(), "evt_1", "plan.created", "obj_1")
        db.session.execute(update(InboxEvent).values(state="failed", error="No."))
        db.session.commit()
        assert "/operator/events?state=failed" in operator.get("/operator").text


class TestEvents:
    def test_an_event_is_listed_shown_and_processed_again(self, operator: Visitor) -> None:
        store_event(body(), "evt_1", "plan.created", "obj_1")
        assert "evt_1" in operator.get("/operator/events").text
        assert "evt_1" not in operator.get("/operator/events?state=failed").text
        page = operator.get("/operator/events/evt_1").text
        assert "&#34;obj_1&#34;" in page
        assert operator.post("/operator/events/evt_1/replay").status_code == 303
        fresh()
        assert db.session.query(InboxEvent).one().state == "ignored"

    def test_an_unknown_event_is_not_found(self, operator: Visitor) -> None:
        assert operator.get("/operator/events/evt_9").status_code == 404
        assert operator.post("/operator/events/evt_9/replay").status_code == 404

    def test_a_state_that_is_none_shows_all(self, operator: Visitor) -> None:
        assert operator.get("/operator/events?state=x&older_than=y").status_code == 200


def wait_for(job: str) -> JobRun:
    for _ in range(200):
        fresh()
        run = latest_runs().get(job)
        if run is not None and run.state != "running":
            return run
        time.sleep(0.05)
    raise AssertionError(f"{job} did not end")


class TestJobs:
    def test_a_job_is_run_by_hand(self, operator: Visitor) -> None:
        assert "expire-grants" in operator.get("/operator/jobs").text
        assert operator.post("/operator/jobs/expire-grants/run").status_code == 303
        run = wait_for("expire-grants")
        assert (run.state, run.by_hand) == ("done", True)

    def test_a_job_that_is_none_is_not_found(self, operator: Visitor) -> None:
        assert operator.post("/operator/jobs/nonsense/run").status_code == 404


class TestProof:
    def test_a_proof_is_made_and_shown(self, operator: Visitor, account_id: int) -> None:
        assert "No proof has been made yet" in operator.get("/operator/proof").text
        grant_credits(
            Incoming(account_id=account_id, credit_type="credits", amount=5, source="bonus", actor="command")
        )
        assert operator.post("/operator/proof").status_code == 303
        wait_for("verify-ledger")
        page = operator.get("/operator/proof").text
        assert "The ledger is whole." in page and "burn order" not in page.split("</h1>")[0]

    @pytest.mark.tampers
    def test_what_it_finds_is_named(self, operator: Visitor, account_id: int) -> None:
        grant_credits(
            Incoming(account_id=account_id, credit_type="credits", amount=5, source="bonus", actor="command")
        )
        db.session.connection().exec_driver_sql("DROP TRIGGER transactions_no_update")
        db.session.execute(update(Transaction).values(description="another"))
        db.session.commit()
        operator.post("/operator/proof")
        assert wait_for("verify-ledger").state == "failed"
        page = operator.get("/operator/proof").text
        assert "The ledger is not whole." in page and "account" in page


class TestAudit:
    def test_deeds_are_listed_by_whom_and_filtered(self, app: Flask) -> None:
        make_person("omar@example.com", is_operator=True)
        again = Visitor(app)
        again.sign_in("omar@example.com")
        page = again.get("/operator/audit").text
        assert "user.signed_in" in page and page.count("omar@example.com") >= 2
        assert "user.signed_in" not in again.get("/operator/audit?action=account.").text

    def test_a_filter_that_fits_nothing_says_so(self, operator: Visitor) -> None:
        assert "Nothing of the kind" in operator.get("/operator/audit?account=nobody").text


class TestSettings:
    def test_secrets_are_masked(self, app: Flask, operator: Visitor) -> None:
        settings = app.extensions["settings"]
        settings.database_url = "postgresql+psycopg://coffer:hush@db/coffer"
        page = operator.get("/operator/settings").text
        assert "SECRET_KEY" in page and "LEDGER_KEY" in page
        assert settings.secret_key.get_secret_value() not in page
        assert "hush" not in page and "postgresql+psycopg://…@db/coffer" in page

"""A journey: renewals, expiry and dunning in their order, once each, whatever happens to the driver."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from errors import Conflict, InvalidRequest
from extensions import db
from jobs.runner import Runner
from jobs.schedule import JOBS, Every, Job
from jobs.time_travel import Traveller
from models.accounts import Account
from models.inbox import InboxEvent
from models.jobs import JobRun, Lease
from models.notices import Notice
from services import clock
from services.accounts.tokens import issue_token, open_token
from services.clock import business_now, wall_now
from services.ledger.grants import Incoming, grant_credits
from services.operations import time_travel as service
from services.operations.clock_guard import PAUSED
from services.operations.facts import set_fact
from services.operations.time_travel import LEASE, Journey, is_interrupted, is_travelling, last_journey
from tests.conftest import assert_ledger_is_whole
from tests.jobs.journeys import Town, open_town
from tests.services.billing.subscriber import LATER_DECLINED

QUARTER = timedelta(days=95)


class Killed(BaseException):
    """What ends a driver as a killed process does: nothing is tidied up."""


@pytest.fixture
def town(app: Flask) -> Iterator[Town]:
    with open_town(app) as town:
        yield town


def gift(account_id: int, amount: int, days: int) -> None:
    """Credits that end some days from now."""
    grant_credits(
        Incoming(account_id=account_id, credit_type="credits", amount=amount, source="bonus", actor="command",
                 expires_at=business_now() + timedelta(days=days))
    )  # fmt: skip


def days_since(start: datetime, moments: list[datetime]) -> list[int]:
    """Whole days from an instant."""
    return [round((moment - start) / timedelta(days=1)) for moment in moments]


def killed_after(steps: int, town: Town, to_at: datetime) -> None:
    """Begin a journey whose process dies after some steps; its lease runs out."""
    traveller = town.traveller()
    traveller.begin(to_at, "user:1")

    def watch(journey: Journey) -> None:
        if journey.steps >= steps:
            raise Killed

    with pytest.raises(Killed):
        traveller.drive(watch)
    expire_lease()


def expire_lease() -> None:
    """As half a minute later."""
    db.session.execute(update(Lease).where(Lease.name == LEASE).values(expires_at=wall_now()))
    db.session.commit()


class TestQuarter:
    def test_a_month_a_year_and_a_gift_take_their_course(self, town: Town) -> None:
        monthly, annual = town.account("monthly"), town.account("annual")
        town.subscribe(monthly)
        town.subscribe(annual, "year")
        gift(monthly, 150, days=10)
        start = business_now()

        journey = town.travel(QUARTER, proof=True)

        assert (journey.state, journey.problems, journey.percent) == ("arrived", (), 100)
        assert journey.steps > 95
        assert abs(business_now() - start - QUARTER) < timedelta(seconds=90)
        paid = town.payments_of(monthly)
        assert [(row.status, row.amount_cents) for row in paid] == [("paid", 3000)] * 4
        assert days_since(start, [row.paid_at for row in paid]) == [0, 30, 61, 92]
        assert [row.amount_cents for row in town.payments_of(annual)] == [30000]
        for account_id in (monthly, annual):
            lots = [lot for lot in town.lots_of(account_id) if lot.source == "subscription"]
            assert [lot.amount for lot in lots] == [1120] * 4
            assert days_since(start, [lot.created_at for lot in lots]) == [0, 30, 61, 92]
        expired = town.lines_of(monthly, "expiry")
        assert [line.amount for line in expired] == [-150, -1120, -1120, -1120]
        assert set(db.session.scalars(select(InboxEvent.state))) <= {"processed", "ignored"}
        assert town.sandbox.deliverer.pending() == []
        assert days_since(start, [line.created_at for line in expired]) == [10, 33, 64, 95]

    def test_each_job_ran_each_day_and_the_nights_work_of_the_wall_clock_did_not(self, town: Town) -> None:
        town.travel(timedelta(days=5))
        runs = dict(
            db.session.execute(
                select(JobRun.job, func.count()).where(JobRun.state == "done").group_by(JobRun.job)
            ).all()
        )
        assert runs["reconcile"] == runs["verify-ledger"] == 5
        assert all(runs[job.name] >= 5 for job in JOBS if not job.is_of_wall_clock)
        assert not {"backup", "prune"} & runs.keys()


class TestDunning:
    def test_a_declined_card_is_tried_on_its_days_and_the_plan_ends(self, town: Town) -> None:
        account_id = town.account("monthly")
        town.subscribe(account_id)
        town.use_card(account_id, LATER_DECLINED)
        town.travel(timedelta(days=29))
        start = business_now()
        town.travel(timedelta(days=4))
        assert db.session.get_one(Account, account_id).status == "past_due"
        town.travel(timedelta(days=10))

        declined = [
            event for event in town.sandbox.store.all("event") if event["type"] == "invoice.payment_failed"
        ]
        told = [datetime.fromtimestamp(event["created"], start.tzinfo) for event in reversed(declined)]
        assert days_since(told[0], told) == [0, 3, 5, 7]
        assert [row.status for row in town.payments_of(account_id)] == ["paid", "failed"]
        kinds = list(db.session.scalars(select(Notice.kind).where(Notice.account_id == account_id)))
        assert kinds.count("payment_failed") == 1
        assert len(town.lots_of(account_id)) == 1


class TestKilled:
    @pytest.mark.parametrize("steps", [1, 65])
    def test_another_driver_goes_on_and_nothing_is_done_twice(self, town: Town, steps: int) -> None:
        monthly = town.account("monthly")
        town.subscribe(monthly)
        gift(monthly, 150, days=10)
        start = business_now()
        to_at = start + timedelta(days=34)
        killed_after(steps, town, to_at)
        stood_at = business_now()
        assert is_interrupted(last_journey())
        assert_ledger_is_whole()

        with pytest.raises(Conflict, match="interrupted"):
            town.traveller().begin(to_at, "user:1")
        again = town.traveller()
        again.take_over("user:2")
        again.drive()

        journey = last_journey()
        assert journey is not None and (journey.state, journey.problems) == ("arrived", ())
        assert business_now() >= to_at > stood_at
        assert [row.status for row in town.payments_of(monthly)] == ["paid", "paid"]
        assert [line.amount for line in town.lines_of(monthly, "expiry")] == [-150, -1120]
        assert not is_travelling()

    def test_a_job_that_was_at_work_runs_again(self, town: Town) -> None:
        calls: list[datetime] = []

        def dies_once(_app: Flask) -> str:
            calls.append(business_now())
            if len(calls) == 2:
                raise Killed
            return "done"

        job = Job("mortal", Every(timedelta(hours=12)), dies_once, "Dies.", next_work=lambda _after: None)
        to_at = business_now() + timedelta(days=2)
        first = Traveller(town.app, town.sandbox, (job,))
        first.begin(to_at, "user:1")
        with pytest.raises(Killed):
            first.drive()
        expire_lease()
        again = Traveller(town.app, town.sandbox, (job,))
        again.take_over("user:1")
        again.drive()
        journey = last_journey()
        assert journey is not None and journey.state == "arrived"
        runs = db.session.execute(select(JobRun.state, func.count()).group_by(JobRun.state)).all()
        assert dict(runs).keys() == {"done"}

    def test_it_may_end_where_it_stands(self, town: Town) -> None:
        killed_after(2, town, business_now() + timedelta(days=9))
        service.want_end("user:1")
        journey = last_journey()
        assert journey is not None and journey.state == "ended"
        assert town.travel(timedelta(days=1)).state == "arrived"


class TestOneAtATime:
    def test_a_second_journey_is_refused(self, town: Town) -> None:
        first = town.traveller()
        first.begin(business_now() + timedelta(days=2), "user:1")
        with pytest.raises(Conflict, match="under way"):
            town.traveller().begin(business_now() + timedelta(days=3), "user:2")
        with pytest.raises(Conflict, match="under way"):
            town.traveller().take_over("user:2")
        first.drive()
        journey = last_journey()
        assert journey is not None and journey.actor == "user:1" and journey.state == "arrived"

    def test_a_driver_that_lost_its_lease_moves_nothing(self, town: Town) -> None:
        slow = town.traveller()
        slow.begin(business_now() + timedelta(days=20), "user:1")

        def overtaken(journey: Journey) -> None:
            if journey.steps == 3:
                expire_lease()
                quick = town.traveller()
                quick.take_over("user:2")
                quick.drive()

        slow.drive(overtaken)
        journey = last_journey()
        assert journey is not None and journey.state == "arrived"
        steps = [run for run in db.session.scalars(select(JobRun).where(JobRun.job == "reconcile"))]
        assert len({run.due_at for run in steps}) == len(steps) == 20

    def test_the_runner_leaves_the_jobs_to_the_journey(self, town: Town) -> None:
        town.traveller().begin(business_now() + timedelta(days=1), "user:1")
        Runner(town.app).tick()
        assert db.session.scalar(select(func.count()).select_from(JobRun)) == 0
        expire_lease()
        clock.set_business_offset(timedelta(days=1))
        Runner(town.app).tick()
        assert db.session.scalar(select(func.count()).select_from(JobRun)) == len(JOBS)

    def test_it_ends_where_somebody_wants_it(self, town: Town) -> None:
        traveller = town.traveller()
        traveller.begin(business_now() + timedelta(days=50), "user:1")
        start = business_now()
        traveller.drive(lambda journey: service.want_end("user:2") if journey.steps == 4 else None)
        journey = last_journey()
        assert journey is not None and (journey.state, journey.steps) == ("ended", 4)
        assert business_now() - start < timedelta(days=4)
        assert not is_travelling()


class TestTrouble:
    def test_a_job_that_fails_is_told_and_the_journey_goes_on(self, town: Town) -> None:
        def fails(_app: Flask) -> str:
            raise RuntimeError("no paper")

        job = Job("printer", Every(timedelta(hours=1)), fails, "Prints.")
        traveller = Traveller(town.app, town.sandbox, (*JOBS, job))
        traveller.begin(business_now() + timedelta(days=1), "user:1")
        traveller.drive()
        journey = last_journey()
        assert journey is not None and journey.state == "arrived"
        assert journey.problems == ("printer: RuntimeError: no paper",)

    def test_what_the_driver_cannot_do_ends_the_journey_and_it_can_go_on(self, town: Town) -> None:
        traveller = town.traveller()
        traveller.begin(business_now() + timedelta(days=3), "user:1")

        def breaks(journey: Journey) -> None:
            if journey.steps == 2:
                raise OSError("the disk is full")

        traveller.drive(breaks)
        failed = last_journey()
        assert failed is not None and failed.state == "failed"
        assert failed.problems == ("OSError: the disk is full",)
        again = town.traveller()
        again.take_over("user:1")
        again.drive()
        journey = last_journey()
        assert journey is not None and journey.state == "arrived"

    def test_a_job_that_cannot_say_when_runs_each_hour(self, town: Town) -> None:
        calls: list[datetime] = []

        def count(_app: Flask) -> str:
            calls.append(business_now())
            return "counted"

        job = Job("hourly", Every(timedelta(minutes=10)), count, "Counts.")
        traveller = Traveller(town.app, town.sandbox, (job,))
        traveller.begin(business_now() + timedelta(hours=6), "user:1")
        traveller.drive()
        assert 6 <= len(calls) <= 8


class TestRefusals:
    def test_backwards(self, town: Town) -> None:
        with pytest.raises(InvalidRequest, match="never goes back"):
            town.traveller().begin(business_now() - timedelta(days=1), "user:1")
        assert last_journey() is None

    def test_too_far(self, town: Town) -> None:
        with pytest.raises(InvalidRequest, match="400 days at most"):
            town.traveller().begin(business_now() + timedelta(days=401), "user:1")

    def test_while_jobs_are_paused(self, town: Town) -> None:
        set_fact(PAUSED, "The clock has jumped.")
        with pytest.raises(Conflict, match="The clock has jumped"):
            town.traveller().begin(business_now() + timedelta(days=1), "user:1")

    def test_with_a_key_of_stripe(self, town: Town) -> None:
        settings = town.app.extensions["settings"]
        town.app.extensions["settings"] = replace_key(settings)
        try:
            with pytest.raises(Conflict, match="Stripe takes the payments"):
                town.traveller()
        finally:
            town.app.extensions["settings"] = settings

    def test_where_the_sandbox_runs_in_another_process(self, town: Town) -> None:
        from app import create_app

        other = create_app(town.app.extensions["settings"])
        with other.app_context():
            with pytest.raises(Conflict, match="another process"):
                Town(other).traveller()
            db.engine.dispose()

    @pytest.mark.parametrize("span", ["", "d", "30", "-3d", "1.5h", "30w", "999999d", "next week"])
    def test_a_span_that_is_none(self, app: Flask, span: str) -> None:
        with pytest.raises(InvalidRequest, match="hours or days"):
            service.destination(span)

    def test_a_cycle_end_where_nobody_has_a_plan(self, app: Flask) -> None:
        with pytest.raises(InvalidRequest, match="nobody has a plan"):
            service.destination(service.CYCLE_END)


class TestDestination:
    def test_hours_days_and_the_soonest_cycle_end(self, town: Town) -> None:
        town.subscribe(town.account("annual"), "year")
        town.subscribe(town.account("monthly"))
        now = business_now()
        assert round((service.destination("12h") - now).total_seconds()) == 12 * 3600
        assert round((service.destination("30d") - now).total_seconds()) == 30 * 86400
        end = service.destination(service.CYCLE_END)
        assert timedelta(days=27) < end - now < timedelta(days=32)
        town.travel(end)
        assert len(town.payments_of(2)) == 2


class TestTheWorldsClock:
    def test_tokens_keep_to_it(self, town: Town) -> None:
        token = issue_token("sign_in", "ada@example.com")
        traveller = Traveller(town.app, town.sandbox, ())
        traveller.begin(business_now() + timedelta(days=100), "user:1")
        traveller.drive()
        assert open_token("sign_in", token.secret).email == "ada@example.com"


def replace_key(settings: object) -> object:
    """The same settings with a key of Stripe."""
    from pydantic import SecretStr

    return settings.model_copy(update={"stripe_secret_key": SecretStr("sk_test_x")})  # type: ignore[attr-defined]

"""When jobs are due, and the table of them."""

from datetime import UTC, datetime, time, timedelta

from jobs.schedule import JOBS, Daily, Every, job_named

# Names that other programs and cron lines may use: they stay.
CONTRACT = {
    "expire-grants", "release-holds", "monthly-grants", "charge-overage", "retry-charges",
    "issue-statements", "auto-top-up", "send-notices", "deliver-events", "process-inbox", "reconcile",
    "verify-ledger", "backup", "prune", "abandon-orders",
}  # fmt: skip


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestEvery:
    def test_due_instants_are_multiples_of_the_interval(self):
        every = Every(timedelta(minutes=5))
        now = moment("2026-03-01T10:07:31")
        assert every.latest_due(now) == moment("2026-03-01T10:05:00")
        assert every.next_due(now) == moment("2026-03-01T10:10:00")

    def test_instant_itself_is_due(self):
        now = moment("2026-03-01T10:05:00")
        assert Every(timedelta(minutes=5)).latest_due(now) == now


class TestDaily:
    def test_before_the_time_yesterday_is_the_latest(self):
        daily = Daily(time(3, 10))
        assert daily.latest_due(moment("2026-03-01T03:09:59")) == moment("2026-02-28T03:10:00")
        assert daily.next_due(moment("2026-03-01T03:09:59")) == moment("2026-03-01T03:10:00")

    def test_at_the_time_today_is_the_latest(self):
        daily = Daily(time(3, 10))
        assert daily.latest_due(moment("2026-03-01T03:10:00")) == moment("2026-03-01T03:10:00")
        assert daily.next_due(moment("2026-03-01T03:10:00")) == moment("2026-03-02T03:10:00")


class TestTable:
    def test_names_are_those_of_the_contract_and_unique(self):
        names = [job.name for job in JOBS]
        assert len(set(names)) == len(names)
        assert set(names) <= CONTRACT

    def test_job_is_found_by_name(self):
        assert all(job_named(job.name) is job for job in JOBS)
        assert job_named("no-such-job") is None

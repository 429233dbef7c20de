"""Leases, pruning, readiness."""

import threading
from datetime import timedelta

from sqlalchemy import func, select

from extensions import db
from models.accounts import LoginThrottle, OneTimeToken, User, UserSession
from models.inbox import InboxEvent
from models.jobs import JobRun, Lease
from models.ledger import IdempotencyKey
from models.notices import Notice, OutboxMail
from services.clock import wall_now
from services.operations import leases, prune, readiness
from services.operations.leases import give_back_lease, take_lease
from services.operations.prune import prune_all
from services.unit_of_work import atomic
from tests.conftest import make_account


@atomic
def add(*rows) -> None:
    db.session.add_all(rows)


def count(table) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(table))


class TestLeases:
    def test_held_lease_is_refused_until_it_ends(self, either_app, monkeypatch):
        assert take_lease("a", "one", seconds=30)
        assert not take_lease("a", "two", seconds=30)
        assert take_lease("b", "two", seconds=30)
        later = wall_now() + timedelta(seconds=31)
        monkeypatch.setattr(leases, "wall_now", lambda: later)
        assert take_lease("a", "two", seconds=30)
        assert not take_lease("a", "one", seconds=30)

    def test_holder_renews(self, either_app, monkeypatch):
        take_lease("a", "one", seconds=30)
        later = wall_now() + timedelta(seconds=20)
        monkeypatch.setattr(leases, "wall_now", lambda: later)
        assert take_lease("a", "one", seconds=30)
        assert db.session.scalar(select(Lease.expires_at)) == later + timedelta(seconds=30)

    def test_given_back_is_free_and_only_its_holder_gives_it_back(self, either_app):
        take_lease("a", "one")
        give_back_lease("a", "two")
        assert not take_lease("a", "two")
        give_back_lease("a", "one")
        assert take_lease("a", "two")

    def test_of_many_at_once_one_gets_it(self, either_app):
        got = []

        def ask(name: str) -> None:
            with either_app.app_context():
                if take_lease("a", name):
                    got.append(name)

        threads = [threading.Thread(target=ask, args=(f"holder-{n}",)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1


class TestPrune:
    def test_only_what_is_past_its_time_goes(self, either_app, monkeypatch):
        monkeypatch.setattr(prune, "CHUNK_ROWS", 2)
        now = wall_now()
        old, fresh = now - timedelta(days=91), now - timedelta(hours=1)
        user = User(email="a@example.com", created_at=old)
        add(user)
        db.session.refresh(user)
        user_id = user.id
        db.session.rollback()
        for number, at in enumerate([old] * 5 + [fresh]):
            add(
                IdempotencyKey(
                    scope=0, key=str(number), fingerprint="", status=200, body="", created_at=at
                ),
                UserSession(token_hash=str(number), user_id=user_id, created_at=old, last_seen_at=at),
                OneTimeToken(token_hash=str(number), purpose="invitation", created_at=old, expires_at=at),
                LoginThrottle(key=str(number), window_started_at=at),
                JobRun(job="prune", due_at=at + timedelta(seconds=number), started_at=at, state="done"),
                InboxEvent(
                    stripe_event_id=f"evt_{number}", type="a.b", body="{}", received_at=at, state="processed"
                ),
            )  # fmt: skip
        dropped = prune_all()
        assert dropped == {
            "idempotency keys": 5, "sessions": 5, "tokens": 5, "throttles": 5, "inbox bodies": 5,
            "job runs": 5, "mails": 0, "notices": 0,
        }  # fmt: skip
        for table in (IdempotencyKey, UserSession, OneTimeToken, LoginThrottle, JobRun):
            assert count(table) == 1
        assert count(InboxEvent) == 6
        assert db.session.scalars(select(InboxEvent.body).where(InboxEvent.body.is_not(None))).all() == ["{}"]
        assert set(prune_all().values()) == {0}

    def test_failed_event_keeps_its_body(self, app):
        old = wall_now() - timedelta(days=200)
        add(InboxEvent(stripe_event_id="evt_1", type="a.b", body="{}", received_at=old, state="failed"))
        assert prune_all()["inbox bodies"] == 0

    def test_mails_go_before_the_notices_that_they_tell(self, either_app):
        account_id, now = make_account("acme"), wall_now()
        for key, days in (("old", 400), ("waiting", 400), ("recent", 100)):
            created_at = now - timedelta(days=days)
            notice = Notice(account_id=account_id, kind="plan_changed", dedupe_key=key, created_at=created_at)
            add(notice)
            db.session.refresh(notice)
            notice_id = notice.id
            db.session.rollback()
            add(
                OutboxMail(
                    notice_id=notice_id, kind="plan_changed", recipient="a@acme.example", subject="",
                    state="queued" if key == "waiting" else "sent", created_at=created_at,
                )
            )  # fmt: skip
        dropped = prune_all()
        assert (dropped["mails"], dropped["notices"]) == (2, 1)
        db.session.rollback()
        assert set(db.session.scalars(select(Notice.dedupe_key))) == {"waiting", "recent"}
        assert db.session.scalars(select(OutboxMail.state)).all() == ["queued"]

    def test_latest_scheduled_run_stays_however_old(self, app):
        old = wall_now() - timedelta(days=400)
        add(
            JobRun(job="backup", due_at=old, started_at=old, state="done"),
            JobRun(job="backup", due_at=old - timedelta(days=1), started_at=old, state="done"),
            JobRun(job="backup", due_at=old + timedelta(days=9), started_at=old, state="done", by_hand=True),
        )
        assert prune_all()["job runs"] == 2
        assert db.session.scalars(select(JobRun.due_at)).all() == [old]


class TestReadiness:
    def test_migrated_database_is_ready(self, migrated_app):
        readiness.note_tick()
        checks = readiness.readiness(has_scheduler=True)
        assert [(check.name, check.is_fine) for check in checks] == [
            ("database", True), ("schema", True), ("scheduler", True),
        ]  # fmt: skip

    def test_schema_behind_is_not_ready(self, app):
        (_, schema) = readiness.readiness(has_scheduler=False)
        assert not schema.is_fine and "wanted 0001" in schema.detail

    def test_scheduler_that_stopped_looking_is_not_ready(self, migrated_app, monkeypatch):
        readiness.note_tick()
        later = wall_now() + timedelta(seconds=91)
        monkeypatch.setattr(readiness, "wall_now", lambda: later)
        assert [check.is_fine for check in readiness.readiness(has_scheduler=True)] == [True, True, False]

    def test_database_that_is_gone_is_not_ready(self, migrated_app, monkeypatch):
        def refuse(*_args):
            raise OSError("gone")

        monkeypatch.setattr(db.engine, "connect", refuse)
        assert [check.is_fine for check in readiness.readiness(has_scheduler=False)] == [False, False]

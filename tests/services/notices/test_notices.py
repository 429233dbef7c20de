"""Notices once per crossing, their mails through the outbox, what is wanted and what is not."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, select

from extensions import db
from gateways.mailer import Mail
from models.accounts import Account, User
from models.billing import Payment
from models.catalog import Catalog, CreditType
from models.notices import LowBalance, Notice, OutboxMail
from services.accounts.memberships import members_of, remove_member
from services.billing.subscriptions import set_plan
from services.catalog.presets import load_preset
from services.ledger.debits import Spend, spend_credits
from services.ledger.grants import Incoming, grant_credits
from services.ledger.spending_caps import set_spending_cap
from services.notices import outbox, sweeps
from services.notices.kinds import KINDS
from services.notices.notices import (
    mark_read,
    notices_of,
    notify,
    set_threshold,
    set_wishes,
    unread_count,
    unsubscribe,
)
from services.notices.sweeps import sweep_all, sweep_expiring
from services.usage.meters import Increment, record_usage, set_gauge
from tests.conftest import make_account
from tests.visitor import fresh, make_person

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
DEVTOOLS = Path(__file__).resolve().parents[3] / "catalogs" / "devtools.toml"


class Post:
    """A mail server that takes, refuses or is away, as the test says."""

    def __init__(self) -> None:
        self.sent: list[Mail] = []
        self.answer: tuple[str, str | None] = ("sent", None)

    def deliver(self, mail: Mail) -> tuple[str, str | None]:
        if self.answer[0] == "sent":
            self.sent.append(mail)
        return self.answer


@pytest.fixture
def account(either_app: Flask) -> int:
    load_preset(DEVTOOLS)
    account_id = make_account(
        "acme", email="bills@acme.example", catalog_id=db.session.scalar(select(Catalog.id))
    )
    make_person("ann@acme.example", account_id)
    make_person("vic@acme.example", account_id, "viewer")
    return account_id


@pytest.fixture
def post(either_app: Flask) -> Post:
    box = Post()
    either_app.extensions["mailer"] = box
    return box


@pytest.fixture
def send(either_app: Flask) -> Callable[[], dict[str, int]]:
    return either_app.extensions["send_queued_mails"]


def told() -> list[tuple[str, dict]]:
    fresh()
    return [
        (row.kind, json.loads(row.facts)) for row in db.session.scalars(select(Notice).order_by(Notice.id))
    ]


def queued() -> list[tuple[str, str]]:
    fresh()
    rows = db.session.scalars(select(OutboxMail).order_by(OutboxMail.id))
    return [(row.recipient, row.state) for row in rows]


def test_a_crossing_is_told_once_to_whom_it_concerns(account: int) -> None:
    assert notify(account, "plan_changed", "k", before="", now="Pro")
    assert not notify(account, "plan_changed", "k", before="", now="Pro")
    assert told() == [("plan_changed", {"before": "", "now": "Pro"})]
    assert queued() == [("bills@acme.example", "queued"), ("ann@acme.example", "queued")]


def test_usage_warns_at_each_step_once_a_window(account: int) -> None:
    with time_machine.travel(NOW, tick=False):
        for quantity in (79, 1, 1, 9, 10):
            record_usage(Increment(account_id=account, meter="predictions", quantity=quantity, actor="t"))
        assert [(kind, facts["step"]) for kind, facts in told()] == [
            ("limit_warning", 80), ("limit_warning", 90), ("limit_warning", 100)
        ]  # fmt: skip
    with time_machine.travel(NOW + timedelta(days=31), tick=False):
        record_usage(Increment(account_id=account, meter="predictions", quantity=85, actor="t"))
        assert told()[-1][1]["step"] == 80 and len(told()) == 4


def test_a_step_that_is_skipped_is_not_told(account: int) -> None:
    record_usage(Increment(account_id=account, meter="predictions", quantity=100, actor="t"))
    assert [facts["step"] for _, facts in told()] == [100]


def test_a_low_balance_is_told_each_time_it_falls(account: int) -> None:
    type_id = db.session.scalar(select(CreditType.id))
    assert type_id is not None
    give = {"account_id": account, "credit_type": "credits", "actor": "t"}
    grant_credits(Incoming(amount=100, source="bonus", **give))
    set_threshold(account, type_id, 50, "user:1")
    seen = []
    for spent, granted in ((40, 0), (20, 0), (5, 0), (0, 100), (100, 0)):
        if spent:
            spend_credits(Spend(amount=spent, **give))
        if granted:
            grant_credits(Incoming(amount=granted, source="bonus", **give))
        sweep_all()
        seen.append(sum(kind == "low_balance" for kind, _ in told()))
    assert seen == [0, 1, 1, 1, 2]
    set_threshold(account, type_id, None, "user:1")
    assert db.session.scalar(select(LowBalance)) is None
    set_threshold(account, type_id, 50, "user:1")
    sweep_all()
    assert sum(kind == "low_balance" for kind, _ in told()) == 3


def test_a_spending_cap_is_told_at_80_and_100_percent_once_a_month(account: int) -> None:
    give = {"account_id": account, "credit_type": "credits", "actor": "t"}
    with time_machine.travel(NOW, tick=False) as clock:
        grant_credits(Incoming(amount=1000, source="bonus", **give))
        set_spending_cap(account, "credits", 100, "user:1")
        for spent in (79, 1, 19, 1):
            spend_credits(Spend(amount=spent, **give))
            sweep_all()
            sweep_all()
        clock.move_to(datetime(2026, 4, 2, tzinfo=UTC))
        sweep_all()
        spend_credits(Spend(amount=85, **give))
        sweep_all()
    steps = [(facts["step"], facts["used"]) for kind, facts in told() if kind == "spending_cap"]
    assert steps == [(80, 80), (100, 100), (80, 85)]


def test_credits_that_expire_within_a_week_are_told_once(account: int) -> None:
    with time_machine.travel(NOW, tick=False):
        for hours in (6 * 24, 6 * 24, 6 * 24 + 3, 6 * 24 + 15, 8 * 24):
            grant_credits(
                Incoming(account_id=account, credit_type="credits", amount=10, source="bonus", actor="t",
                         expires_at=NOW + timedelta(hours=hours))
            )  # fmt: skip
        assert (sweep_all(), sweep_all()) == (2, 0)  # a day each
        assert [(facts["amount"], facts["expires_at"]) for _, facts in told()] == [
            (30, "2026-03-07T09:00:00Z"), (10, "2026-03-08T00:00:00Z")
        ]  # fmt: skip
    with time_machine.travel(NOW + timedelta(days=2), tick=False):
        assert sweep_all() == 1


def test_what_was_told_is_not_written_again(account: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for days in (3, 5):
        grant_credits(
            Incoming(account_id=account, credit_type="credits", amount=10, source="bonus", actor="t",
                     expires_at=datetime.now(UTC) + timedelta(days=days))
        )  # fmt: skip
    assert sweep_expiring() == 2
    monkeypatch.setattr(sweeps, "notify", None)
    assert sweep_expiring() == 0


def test_days_are_the_accounts_own(account: int) -> None:
    db.session.get_one(Account, account).time_zone = "Asia/Seoul"
    db.session.commit()
    with time_machine.travel(NOW, tick=False):
        for hour in (14, 16):  # the day begins in Seoul at 15:00 UTC
            grant_credits(
                Incoming(account_id=account, credit_type="credits", amount=10, source="bonus", actor="t",
                         expires_at=datetime(2026, 3, 5, hour, tzinfo=UTC))
            )  # fmt: skip
        assert sweep_all() == 2


def test_a_gauge_warns_each_time_it_rises_to_a_step(account: int) -> None:
    set_plan(account, "pro")
    with time_machine.travel(NOW, tick=False) as clock:
        for value in (9, 8, 9, 7, 9, 10, 10):
            set_gauge(account, "repositories", value, "t")
            clock.shift(timedelta(seconds=1))
    used = [facts["used"] for kind, facts in told() if kind == "limit_warning"]
    assert used == [9, 9, 9, 10]


def test_a_plan_set_by_an_operator_is_told(account: int) -> None:
    for plan in ("pro", "pro", "team", "free", "free", "pro"):
        set_plan(account, plan, actor="user:1")
    changes = [(facts["before"], facts["now"]) for kind, facts in told() if kind == "plan_changed"]
    assert changes == [("", "Pro"), ("Pro", "Team"), ("Team", ""), ("", "Pro")]


def test_a_payment_is_receipted_by_mail(account: int, post: Post, send: Callable[[], dict[str, int]]) -> None:
    """However long nobody looked, and once, also when the notice is gone."""
    now = datetime.now(UTC) - timedelta(days=40)
    db.session.add(
        Payment(public_id="p", account_id=account, description="1,000 credits", amount_cents=3500, currency="usd",
                status="paid", created_at=now, paid_at=now)
    )  # fmt: skip
    db.session.commit()
    assert (sweep_all(), sweep_all()) == (1, 0)
    assert send() == {"sent": 2}
    mail = post.sent[0]
    assert (mail.to, mail.subject) == ("bills@acme.example", "Acme: Receipt: 1,000 credits")
    assert "$35.00" in mail.text and "/home/acme/billing" in mail.html and "/unsubscribe/" in mail.text
    assert notices_of(account, 1) == []  # receipts go by mail alone
    assert send() == {}
    db.session.execute(delete(OutboxMail))
    db.session.execute(delete(Notice))
    db.session.commit()
    assert sweep_all() == 0


def test_mail_is_tried_again_and_given_up(
    account: int, post: Post, send: Callable[[], dict[str, int]]
) -> None:
    unsubscribe(account, "plan_changed", "ann@acme.example")
    with time_machine.travel(NOW, tick=False) as clock:
        notify(account, "plan_changed", "k", before="", now="Pro")
        post.answer = ("temporary", "451 later")
        assert (send(), send()) == ({"temporary": 1}, {})
        clock.shift(timedelta(minutes=2))
        assert send() == {"temporary": 1}
        post.answer = ("sent", None)
        clock.shift(timedelta(minutes=6))
        assert send() == {"sent": 1}
        notify(account, "plan_changed", "l", before="", now="Team")
        post.answer = ("permanent", "550 nobody")
        assert send() == {"permanent": 1}
        clock.shift(timedelta(days=9))
        assert send() == {}
    fresh()
    rows = db.session.scalars(select(OutboxMail).order_by(OutboxMail.id)).all()
    assert [(row.state, row.attempts, row.error) for row in rows] == [
        ("sent", 3, None),
        ("failed", 1, "550 nobody"),
    ]


@pytest.mark.parametrize("how", ["unsubscribed", "turned off", "left", "another address", "disabled"])
def test_mail_that_waits_is_dropped_once_it_is_not_wanted(
    account: int, post: Post, send: Callable[[], dict[str, int]], how: str
) -> None:
    cat = make_person("cat@acme.example", account)
    notify(account, "plan_changed", "k", before="", now="Pro")
    if how == "unsubscribed":
        unsubscribe(account, "plan_changed", "Cat@acme.example")
    elif how == "turned off":
        set_wishes(account, set(KINDS), set(), "user:1")
    elif how == "left":
        membership = next(each for each in members_of(account) if each.user_id == cat)
        remove_member(account, membership.id, actor="user:1")
    else:
        row = db.session.get_one(User, cat)
        if how == "disabled":
            row.disabled_at = NOW
        else:
            row.email = "cat@elsewhere.example"
        db.session.commit()
    expected = [] if how == "turned off" else ["bills@acme.example", "ann@acme.example"]
    assert send() == ({"sent": 2} if expected else {})
    assert [mail.to for mail in post.sent] == expected
    assert ("cat@acme.example", "dropped") in queued()
    assert send() == {}


def test_mail_of_money_owed_is_not_dropped_for_a_wish(
    account: int, post: Post, send: Callable[[], dict[str, int]]
) -> None:
    facts = {"what": "Pro", "reason": "Declined.", "amount_cents": 1900, "currency": "usd", "url": None}
    notify(account, "payment_failed", "k", **facts)
    set_wishes(account, set(), set(), "user:1")
    unsubscribe(account, "payment_failed", "ann@acme.example")
    assert send() == {"sent": 2}


def test_a_server_that_hangs_ends_the_run(
    account: int, post: Post, send: Callable[[], dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(0, 15)
    monkeypatch.setattr(outbox, "boot_seconds", lambda: next(seconds))
    post.answer = ("temporary", "timed out")
    for number in range(5):
        notify(account, "plan_changed", str(number), before="", now="Pro")
    assert send() == {"temporary": 1}
    assert [state for _, state in queued()] == ["queued"] * 10
    monkeypatch.setattr(outbox, "boot_seconds", lambda: 0.0)
    post.answer = ("sent", None)
    assert send() == {"sent": 9}  # the one that was tried waits for its time


def test_what_is_wanted_decides_but_not_of_money_owed(account: int) -> None:
    set_wishes(account, set(), set(), "user:1")
    for kind in ("plan_changed", "payment_failed"):
        unsubscribe(account, kind, "bills@acme.example")
        facts = {"before": "", "now": "Pro"} if kind == "plan_changed" else {}
        assert notify(account, kind, kind, **facts)
    assert queued() == [("bills@acme.example", "queued"), ("ann@acme.example", "queued")]
    assert [row.is_shown for row in db.session.scalars(select(Notice))] == [False, False]


def test_reading_is_each_persons_own(account: int) -> None:
    notify(account, "plan_changed", "a", before="", now="Pro")
    mark_read(account, 1)
    notify(account, "plan_changed", "b", before="Pro", now="Team")
    assert (unread_count(account, 1), unread_count(account, 2)) == (1, 2)
    assert [each.is_read for each in notices_of(account, 1)] == [False, True]

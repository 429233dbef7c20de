"""What an account has: effective, in one row, with or without a job."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from errors import InvalidRequest, StorageUnavailable
from extensions import db
from services.ledger import balances
from services.ledger.expiry import settle_due
from services.ledger.opening import open_book
from services.statements import Statement
from services.unit_of_work import atomic
from tests.conftest import make_credit_type
from tests.services.ledger.desk import Clock, Desk, make_payment, set_status, sql


def unwritable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database refuses writes, as when it is full or read only."""

    def refuse(*_: object, **__: object) -> None:
        raise StorageUnavailable()

    monkeypatch.setattr(balances, "settle_account", refuse)


def reserve_for_dispute(desk: Desk, payment_id: int, amount: int) -> None:
    """A hold without an end on the account's first lot, as a dispute makes it."""
    lot = desk.lots()[0]
    sql(
        "INSERT INTO holds (account_id, credit_type_id, status, amount, captured, description, actor, "
        f"created_at, payment_id) VALUES ({desk.account_id}, {lot.credit_type_id}, 'open', {amount}, 0, '', "
        f"'stripe:evt', 0, {payment_id})",
        "INSERT INTO hold_lots (hold_id, position, grant_id, amount) "
        f"SELECT MAX(id), 0, {lot.id}, {amount} FROM holds",
        f"UPDATE grants SET held = held + {amount} WHERE id = {lot.id}",
        f"UPDATE balances SET held = held + {amount} WHERE account_id = {desk.account_id}",
    )


class TestPositions:
    def test_account_without_lines_has_zero_of_each_type(self, desk: Desk) -> None:
        make_credit_type("sms", scale=4, position=1)
        assert [(p.credit_type, p.balance, p.available) for p in balances.positions(desk.account_id)] == [
            ("credits", 0, 0),
            ("sms", 0, 0),
        ]

    def test_unknown_type_is_refused(self, desk: Desk) -> None:
        with pytest.raises(InvalidRequest, match="credit_type"):
            balances.balance_of(desk.account_id, "gold")

    def test_read_costs_one_statement_whatever_the_lots(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(30):
            desk.grant(1)
        db.session.rollback()
        ran: list[object] = []
        run = Statement.run

        def counted(statement: Statement, *given: object, **values: object) -> object:
            ran.append(statement)
            return run(statement, *given, **values)

        monkeypatch.setattr(Statement, "run", counted)
        event.listen(db.engine, "before_cursor_execute", lambda *given: ran.append(given[2]))
        assert desk.balance == 30
        assert ran == [balances.POSITIONS]

    def test_read_books_what_is_due(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10, expires_at=clock.now + timedelta(days=1))
        desk.grant(3)
        clock.advance(days=1)
        assert desk.balance == 3
        assert desk.lines()[-1] == ("expiry", -10)
        assert desk.kept().next_expiry_at is None


class TestEffectiveWithoutWriting:
    def test_expired_lots_do_not_count_and_their_held_part_does(
        self, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.grant(10, "subscription", expires_at=clock.now + timedelta(minutes=1))
        desk.grant(5)
        desk.hold(4, expires_in=3600)
        clock.advance(minutes=1)
        unwritable(monkeypatch)
        position = desk.position()
        assert (position.balance, position.held, position.subscription) == (9, 4, 4)
        assert len(desk.lines()) == 2

    def test_hold_past_its_time_reserves_nothing(
        self, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.grant(10, expires_at=clock.now + timedelta(minutes=1))
        desk.grant(5)
        desk.hold(12, expires_in=60)
        clock.advance(minutes=1)
        unwritable(monkeypatch)
        position = desk.position()
        assert (position.balance, position.held) == (5, 0)

    def test_hold_past_its_time_pays_what_its_lot_owes(
        self, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        payment_id = make_payment(desk.account_id)
        desk.grant(10, "purchase", payment_id=payment_id)
        desk.hold(10, expires_in=60)
        desk.revoke(payment_id, 400, 1000)
        clock.advance(minutes=1)
        with monkeypatch.context() as patch:
            unwritable(patch)
            assert desk.balance == 6
            assert [lot.remaining for lot in balances.lots_of(desk.account_id, "credits")] == [6]
        assert desk.balance == 6

    def test_hold_without_an_end_counts_for_ever(
        self, desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        payment_id = make_payment(desk.account_id)
        desk.grant(10, "purchase", payment_id=payment_id, expires_at=clock.now + timedelta(minutes=1))
        reserve_for_dispute(desk, payment_id, 4)
        clock.advance(days=400)
        with monkeypatch.context() as patch:
            unwritable(patch)
            assert (desk.balance, desk.position().held) == (4, 4)
        assert (desk.balance, desk.position().held) == (4, 4)
        assert desk.kept().next_expiry_at is None

    def test_parked_account_shows_the_effective_balance_and_writes_nothing(
        self, desk: Desk, clock: Clock
    ) -> None:
        desk.grant(10, expires_at=clock.now + timedelta(days=1))
        desk.grant(3)
        set_status(desk.account_id, "parked")
        clock.advance(days=1)
        assert desk.balance == 3
        assert [lot.remaining for lot in balances.lots_of(desk.account_id, "credits")] == [3]
        assert len(desk.lines()) == 2

    def test_server_that_only_reads_answers(self, desk: Desk, clock: Clock) -> None:
        desk.grant(10, expires_at=clock.now + timedelta(days=1))
        clock.advance(days=1)
        db.session.rollback()
        if db.engine.dialect.name == "postgresql":
            sql(f'ALTER DATABASE "{db.engine.url.database}" SET default_transaction_read_only = on')
            db.engine.dispose()
        else:
            event.listen(db.engine, "checkout", lambda c, *_: c.execute("PRAGMA query_only = ON"))
        assert desk.balance == 0
        assert len(desk.lines()) == 1


class TestLotsOf:
    def test_lots_come_in_burn_order_with_what_is_left(self, desk: Desk, clock: Clock) -> None:
        never = desk.grant(10).grant_id
        soon = desk.grant(5, expires_at=clock.now + timedelta(days=1)).grant_id
        desk.spend(2)
        lots = balances.lots_of(desk.account_id, "credits")
        assert [(lot.grant_id, lot.remaining) for lot in lots] == [(soon, 3), (never, 10)]

    def test_empty_lots_are_shown_on_demand(self, desk: Desk) -> None:
        desk.grant(1)
        desk.spend(1)
        assert balances.lots_of(desk.account_id, "credits") == []
        assert [lot.remaining for lot in balances.lots_of(desk.account_id, "credits", open_only=False)] == [0]


class TestSettleDue:
    def test_sweep_in_chunks_ends_at_the_same_state(self, desk: Desk, clock: Clock) -> None:
        for _ in range(5):
            desk.grant(2, expires_at=clock.now + timedelta(days=1))
        clock.advance(days=1)

        @atomic
        def sweep() -> int:
            book = open_book(desk.account_id, "credits")
            expired = settle_due(book, 2)
            book.close()
            return expired

        sweep()
        assert desk.kept().balance == 0
        assert desk.lines()[5:] == [("expiry", -2)] * 5

    def test_subscription_expiry_is_the_soonest_open_one(self, desk: Desk, clock: Clock) -> None:
        desk.grant(5, "subscription", expires_at=clock.now + timedelta(days=9))
        desk.grant(5, "subscription", expires_at=clock.now + timedelta(days=3))
        desk.grant(5, expires_at=clock.now + timedelta(days=1))
        found = balances.subscription_expires_at(desk.account_id, desk.position())
        assert found == clock.now + timedelta(days=3)

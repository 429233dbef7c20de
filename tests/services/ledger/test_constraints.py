"""The database refuses by itself what the ledger forbids, whoever asks it."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from extensions import db
from models.base import APPEND_ONLY
from tests.services.ledger.desk import Desk, sql


@pytest.fixture
def used(desk: Desk) -> Desk:
    desk.grant(100)
    desk.spend(10)
    desk.hold(5)
    return desk


def refused(statement: str) -> str:
    """The database's refusal of a statement; nothing of it stays."""
    db.session.rollback()
    with pytest.raises(DBAPIError) as error, db.engine.begin() as connection:
        connection.execute(text(statement))
    return str(error.value.orig)


class TestChecks:
    @pytest.mark.parametrize(
        "change",
        [
            "balance = -1", "balance = 95", "held = 91", "held = -1", "subscription = 91",
            "purchased = -1, balance = 89", "granted = 1000000000000001, used = 999999999999911",
            "used = -10, granted = 80", "expired = -1, balance = 91", "removed = -1, balance = 91",
        ],
    )  # fmt: skip
    def test_balance_row_that_does_not_add_up_is_refused(self, used: Desk, change: str) -> None:
        assert "ck_balances" in refused(f"UPDATE balances SET {change}")

    @pytest.mark.parametrize(
        "change",
        [
            "remaining = -1", "remaining = 101", "held = -1", "held = 91", "amount = 0", "revoked = -1",
            "revoked = 101", "unrecovered = -1", "priority = -1", "priority = 1001", "source = 'gift'",
            "amount = 1000000000000001",
        ],
    )  # fmt: skip
    def test_impossible_lot_is_refused(self, used: Desk, change: str) -> None:
        assert "ck_grants" in refused(f"UPDATE grants SET {change}")

    @pytest.mark.parametrize("change", ["amount = 0", "captured = -1", "captured = 6", "status = 'lost'"])
    def test_impossible_hold_is_refused(self, used: Desk, change: str) -> None:
        assert "ck_holds" in refused(f"UPDATE holds SET {change}")

    def test_hold_of_nothing_on_a_lot_is_refused(self, used: Desk) -> None:
        assert "ck_hold_lots" in refused("UPDATE hold_lots SET amount = 0")

    @pytest.mark.parametrize(
        ("line_type", "amount", "before", "after"),
        [
            ("usage", 0, 90, 90), ("usage", -1, 90, 90), ("usage", -91, 90, -1), ("gift", 1, 90, 91),
            ("bonus", 10**15, 90, 10**15 + 90),
        ],
    )  # fmt: skip
    def test_impossible_line_is_refused(
        self, used: Desk, line_type: str, amount: int, before: int, after: int
    ) -> None:
        assert "ck_transactions" in refused(insert_line(used, 3, line_type, amount, before, after))


def insert_line(desk: Desk, sequence: int, line_type: str, amount: int, before: int, after: int) -> str:
    return (
        "INSERT INTO transactions (account_id, credit_type_id, sequence, type, amount, balance_before, "
        "balance_after, description, actor, created_at, mac_version, mac_key_id, mac) VALUES "
        f"({desk.account_id}, 1, {sequence}, '{line_type}', {amount}, {before}, {after}, "
        "'', 'x', 0, 1, 'x', 'x')"
    )


class TestUnique:
    def test_second_line_of_a_number_is_refused(self, used: Desk) -> None:
        refused(insert_line(used, 2, "usage", -1, 90, 89))
        assert len(used.lines()) == 2

    def test_second_balance_row_is_refused(self, used: Desk) -> None:
        with pytest.raises(IntegrityError):
            sql(f"INSERT INTO balances SELECT * FROM balances WHERE account_id = {used.account_id}")


class TestForeignKeys:
    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM accounts", "DELETE FROM credit_types", "DELETE FROM grants", "DELETE FROM holds",
            "UPDATE grants SET account_id = 999", "UPDATE grants SET payment_id = 999",
            "UPDATE holds SET transaction_id = 999", "UPDATE hold_lots SET grant_id = 999",
            "UPDATE balances SET credit_type_id = 999",
        ],
    )  # fmt: skip
    def test_row_that_others_name_or_that_names_none_is_refused(self, used: Desk, statement: str) -> None:
        assert "foreign key" in refused(statement).lower()


class TestAppendOnly:
    @pytest.mark.parametrize("table", ["transactions", "allocations"])
    def test_update_and_delete_are_refused(self, used: Desk, table: str) -> None:
        assert f"{table} is append-only" in refused(f"UPDATE {table} SET amount = amount")
        assert f"{table} is append-only" in refused(f"DELETE FROM {table}")
        assert len(used.lines()) == 2

    @pytest.mark.parametrize("table", ["transactions", "allocations"])
    def test_replace_and_truncate_are_refused(self, used: Desk, table: str) -> None:
        if db.engine.dialect.name == "postgresql":
            assert f"{table} is append-only" in refused(f"TRUNCATE {table} CASCADE")
            return
        for recursive in ("ON", "OFF"):
            db.session.rollback()
            with db.engine.connect() as connection:
                driver = connection.connection.cursor()
                driver.execute(f"PRAGMA recursive_triggers = {recursive}")
                with pytest.raises(Exception, match=f"{table} is append-only"):
                    driver.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
                with pytest.raises(Exception, match=f"{table} is append-only"):
                    driver.execute(f"UPDATE OR REPLACE {table} SET amount = amount + 1")
                driver.execute("PRAGMA recursive_triggers = ON")
                connection.connection.rollback()

    def test_upsert_is_refused(self, used: Desk) -> None:
        line = insert_line(used, 2, "usage", -1, 90, 89)
        assert "append-only" in refused(
            f"{line} ON CONFLICT (account_id, credit_type_id, sequence) DO UPDATE SET amount = -1"
        )

    def test_audit_log_is_append_only_too(self) -> None:
        assert set(APPEND_ONLY) == {
            "transactions", "allocations", "audit_events", "agency_credit_pricing", "credit_costs", "statements",
            "statement_lines", "statement_settlements",
        }  # fmt: skip

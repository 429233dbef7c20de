"""The proof: it passes what the ledger did, and finds and names what someone else did to it."""

import json
import os
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from extensions import db
from models.accounts import Account
from models.audit import AuditEvent
from models.base import APPEND_ONLY, append_only_statements
from services.ledger import chain
from services.ledger.proof import (
    HeadsContradicted,
    HeadsDamaged,
    ProofReport,
    park_accounts,
    prove_and_note,
    read_heads,
    verify_ledger,
    write_heads,
)
from services.ledger.proof import journal as journal_check
from tests.services.ledger.desk import Clock, Desk, make_payment, set_status, sql

pytestmark = pytest.mark.tampers


def disarm() -> None:
    """Drop the append-only triggers, as a thief with the database password would."""
    for table, keys in APPEND_ONLY.items():
        for statement in append_only_statements(table, db.engine.dialect.name, keys):
            if statement.startswith("CREATE TRIGGER"):
                suffix = "" if db.engine.dialect.name == "sqlite" else f" ON {table}"
                sql(f"DROP TRIGGER {statement.split()[2]}{suffix}")


def rearm() -> None:
    """Put the triggers back, so that the proof has to find the deed itself."""
    for table, keys in APPEND_ONLY.items():
        sql(*append_only_statements(table, db.engine.dialect.name, keys))


def tamper(*statements: str) -> ProofReport:
    """Change the database behind the ledger's back and prove."""
    disarm()
    sql(*statements)
    rearm()
    return verify_ledger(None)


def failed(report: ProofReport) -> set[str]:
    return {check.name for check in report.checks if not check.passed}


def told(report: ProofReport) -> str:
    return "\n".join(report.lines())


@pytest.fixture
def busy(desk: Desk, clock: Clock) -> Desk:
    """An account with a bit of everything: lines 1 to 10."""
    payment_id = make_payment(desk.account_id)
    desk.grant(1000, "purchase", payment_id=payment_id)
    desk.grant(100, "subscription", expires_at=clock.now + timedelta(days=2))
    spent = desk.spend(150).transaction_id
    desk.refund(spent, 20)
    desk.capture(desk.hold(60), 40)
    clock.advance(days=2)
    desk.transfer(Desk.open(), 30)
    desk.revoke(payment_id, 500, 1000)
    desk.adjust_down(7)
    desk.refund(spent, 60)
    desk.hold(5)
    assert verify_ledger(None).passed
    return desk


class TestVerifyLedger:
    def test_whole_ledger_passes_and_says_what_it_checked(self, busy: Desk) -> None:
        report = verify_ledger(None)
        checked = {check.name: check.checked for check in report.checks}
        assert report.passed and report.line_count == len(busy.lines()) + 1
        assert checked["signature"] == report.line_count
        assert checked["conservation"] == 2
        assert checked["lots"] == 4
        assert checked["holds"] == 2
        assert checked["refunds"] == 2
        assert checked["transfers"] == 2
        assert list(report.lines())[-1].startswith("The ledger is whole: ")

    def test_empty_ledger_passes(self, desk: Desk) -> None:
        assert verify_ledger(None).passed

    def test_chunks_of_one_line_find_the_same(self, busy: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(journal_check, "CHUNK_LINES", 1)
        assert verify_ledger(None).line_count == len(busy.lines()) + 1

    def test_proof_sees_one_moment_while_spends_go_on(
        self, busy: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal_check, "CHUNK_LINES", 2)
        check_line = journal_check.JournalCheck._check_line

        def spending(walk: object, page: object, line: object) -> None:
            busy.spend(1)
            check_line(walk, page, line)  # type: ignore[arg-type]

        before = len(busy.lines())
        monkeypatch.setattr(journal_check.JournalCheck, "_check_line", spending)
        report = verify_ledger(None)
        assert report.passed, told(report)
        assert report.line_count == before + 1
        assert len(busy.lines()) > before

    def test_another_key_fails_every_line(self, busy: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(chain, "_key", chain.Key("another"))
        report = verify_ledger(None)
        assert {"signature", "balance row"} <= failed(report)


THIRD = "WHERE account_id = {account} AND sequence = 3"
FACTS = {
    "type": "'adjustment'", "grant_id": "1", "related_id": "1", "task_id": "'other'",
    "description": "'Gift'", "quantity": "'2'", "unit_cost": "'1'", "payment_method": "'manual'",
    "metadata": "'{}'", "actor": "'user:9'", "created_at": "created_at + 1",
}  # fmt: skip


class TestTampering:
    def test_changed_amount_is_found(self, busy: Desk) -> None:
        report = tamper(
            "UPDATE transactions SET amount = amount + 1, balance_after = balance_after + 1 "
            + THIRD.format(account=busy.account_id)
        )
        assert {"signature", "running balance", "allocations", "conservation"} <= failed(report)
        assert report.account_ids == {busy.account_id}
        assert f"account {busy.account_id}, credits, line 3 (transaction" in told(report)

    @pytest.mark.parametrize("column", FACTS)
    def test_changed_fact_is_found(self, busy: Desk, column: str) -> None:
        report = tamper(
            f"UPDATE transactions SET {column} = {FACTS[column]} " + THIRD.format(account=busy.account_id)
        )
        assert "signature" in failed(report)
        assert "line 3 " in told(report)

    def test_amount_changed_everywhere_is_found_by_the_signature(self, busy: Desk) -> None:
        of = f"account_id = {busy.account_id}"
        report = tamper(
            f"UPDATE grants SET amount = amount + 9, remaining = remaining + 9 WHERE {of} AND id = 1",
            f"UPDATE allocations SET amount = amount + 9 WHERE transaction_id = "
            f"(SELECT id FROM transactions WHERE {of} AND sequence = 1)",
            f"UPDATE transactions SET amount = amount + 9, balance_after = balance_after + 9 "
            f"WHERE {of} AND sequence = 1",
            f"UPDATE transactions SET balance_before = balance_before + 9, balance_after = balance_after + 9 "
            f"WHERE {of} AND sequence > 1",
            f"UPDATE balances SET balance = balance + 9, purchased = purchased + 9 WHERE {of}",
        )
        assert failed(report) == {"signature"}

    def test_deleted_line_is_found(self, busy: Desk) -> None:
        last = len(busy.lines())
        line = f"(SELECT id FROM transactions WHERE account_id = {busy.account_id} AND sequence = 4)"
        report = tamper(
            f"DELETE FROM allocations WHERE transaction_id = {line}",
            f"DELETE FROM transactions WHERE account_id = {busy.account_id} AND sequence = 4",
        )
        assert {"sequence", "signature", "running balance", "lots"} <= failed(report)
        assert "line 5 " in told(report) and f"line {last} " not in told(report)

    def test_swapped_lines_are_found(self, busy: Desk) -> None:
        of = f"UPDATE transactions SET sequence = %s WHERE account_id = {busy.account_id} AND sequence = %s"
        report = tamper(of % (-3, 3), of % (3, 4), of % (4, -3))
        assert {"signature", "running balance"} <= failed(report)
        assert "line 3 " in told(report) and "line 4 " in told(report)

    def test_inserted_line_is_found(self, busy: Desk) -> None:
        last = len(busy.lines())
        of = f"account_id = {busy.account_id}"
        columns = "type, description, actor, created_at, mac_version, mac_key_id, mac"
        report = tamper(
            "INSERT INTO transactions (account_id, credit_type_id, sequence, amount, balance_before, "
            f"balance_after, {columns}) SELECT account_id, credit_type_id, sequence + 1, 50, balance_after, "
            f"balance_after + 50, {columns} FROM transactions WHERE {of} AND sequence = {last}",
            f"UPDATE balances SET balance = balance + 50, granted = granted + 50 WHERE {of}",
        )
        assert {"signature", "allocations", "balance row", "conservation"} <= failed(report)
        assert f"line {last + 1} " in told(report)

    def test_replaced_line_is_found(self, busy: Desk) -> None:
        of = f"WHERE account_id = {busy.account_id} AND sequence ="
        columns = ("description", "created_at", "mac", "actor")
        copied = ", ".join(f"{c} = (SELECT {c} FROM transactions {of} 5)" for c in columns)
        report = tamper(f"UPDATE transactions SET {copied} {of} 3")
        assert "signature" in failed(report)
        assert "line 3 " in told(report) and "line 4 " in told(report)

    def test_line_moved_to_another_account_is_found(self, busy: Desk) -> None:
        other = Desk.open()
        last = len(busy.lines())
        report = tamper(
            f"UPDATE transactions SET account_id = {other.account_id}, sequence = 1 "
            f"WHERE account_id = {busy.account_id} AND sequence = {last}"
        )
        assert {"signature", "balance row", "allocations", "running balance"} <= failed(report)
        assert report.account_ids == {busy.account_id, other.account_id}

    def test_journal_cut_off_at_its_end_is_found(self, busy: Desk) -> None:
        spent = busy.spend(3).transaction_id
        report = tamper(
            f"DELETE FROM allocations WHERE transaction_id = {spent}",
            f"DELETE FROM transactions WHERE id = {spent}",
            f"UPDATE balances SET balance = balance + 3, used = used - 3, usage_lines = usage_lines - 1, "
            "last_sequence = last_sequence - 1, subscription = subscription + 3 "
            f"WHERE account_id = {busy.account_id}",
            "UPDATE grants SET remaining = remaining + 3 WHERE id = 4",
        )
        assert failed(report) == {"balance row"}

    def test_old_state_put_back_is_found_by_the_heads_alone(self, busy: Desk, tmp_path: Path) -> None:
        heads_path = tmp_path / "heads.json"
        db.session.rollback()
        row = db.session.execute(
            text(f"SELECT * FROM balances WHERE account_id = {busy.account_id}")
        ).mappings().one()  # fmt: skip
        spent = busy.spend(3).transaction_id
        write_heads(heads_path)
        restored = ", ".join(
            f"{name} = {value!r}" for name, value in row.items() if value is not None and name != "mac"
        )
        report = tamper(
            f"DELETE FROM allocations WHERE transaction_id = {spent}",
            f"DELETE FROM transactions WHERE id = {spent}",
            f"UPDATE balances SET {restored}, mac = '{row['mac']}' WHERE account_id = {busy.account_id}",
            "UPDATE grants SET remaining = remaining + 3 WHERE id = 4",
        )
        assert report.passed, told(report)
        report = verify_ledger(read_heads(heads_path))
        assert failed(report) == {"heads"}
        assert "the journal was cut off" in told(report)
        with pytest.raises(HeadsContradicted, match=f"account {busy.account_id}"):
            write_heads(heads_path)
        assert write_heads(heads_path, replace=True) == 2

    def test_journal_rewritten_with_the_key_is_found_by_the_heads(self, desk: Desk, tmp_path: Path) -> None:
        heads_path = tmp_path / "heads.json"
        desk.grant(10)
        write_heads(heads_path)
        disarm()
        for table in ("allocations", "transactions", "balances", "grants"):
            sql(f"DELETE FROM {table}")
        rearm()
        desk.grant(99)
        assert verify_ledger(None).passed
        report = verify_ledger(read_heads(heads_path))
        assert failed(report) == {"heads"}
        assert "rewritten" in told(report)

    @pytest.mark.parametrize(
        "change",
        ["priority = 0", "expires_at = expires_at + 1", "source = 'bonus'", "created_at = created_at - 1"],
    )
    def test_changed_lot_is_found(self, busy: Desk, change: str) -> None:
        report = tamper(f"UPDATE grants SET {change} WHERE id = 2")
        assert "signature" in failed(report)
        assert "line 2 " in told(report)

    def test_lot_with_more_left_is_found(self, busy: Desk) -> None:
        report = tamper("UPDATE grants SET remaining = remaining + 1 WHERE id = 1")
        assert {"lots", "conservation"} <= failed(report)
        assert "lot 1: has" in told(report)

    def test_lot_that_looks_like_a_subscription_is_found(self, busy: Desk) -> None:
        yes = "1" if db.engine.dialect.name == "sqlite" else "true"
        report = tamper(f"UPDATE grants SET is_subscription = {yes} WHERE id = 1")
        assert {"lots", "parts"} <= failed(report)

    def test_lot_without_a_line_is_found(self, busy: Desk) -> None:
        sql(
            "INSERT INTO grants (account_id, credit_type_id, source, is_subscription, amount, remaining, "
            "held, revoked, unrecovered, priority, created_at) SELECT account_id, credit_type_id, source, "
            "is_subscription, 500, 500, 0, 0, 0, priority, created_at FROM grants WHERE id = 1"
        )
        report = verify_ledger(None)
        assert {"lots", "conservation"} <= failed(report)

    @pytest.mark.parametrize(
        ("change", "check"),
        [
            ("balance = balance + 1, granted = granted + 1", "conservation"),
            ("used = used + 1, granted = granted + 1", "totals"),
            ("usage_lines = usage_lines + 1", "totals"),
            ("held = held - 1", "parts"),
            ("subscription = subscription + 1", "parts"),
            ("last_sequence = last_sequence + 1", "balance row"),
            ("head_mac = mac", "balance row"),
            ("mac = head_mac", "balance row"),
        ],
    )
    def test_changed_balance_row_is_found(self, busy: Desk, change: str, check: str) -> None:
        sql(f"UPDATE balances SET {change} WHERE account_id = {busy.account_id}")
        report = verify_ledger(None)
        assert check in failed(report)
        assert report.account_ids == {busy.account_id}

    def test_deleted_balance_row_is_found(self, busy: Desk) -> None:
        sql(f"DELETE FROM balances WHERE account_id = {busy.account_id}")
        assert "has lines but no balance row" in told(verify_ledger(None))

    def test_balance_row_out_of_nothing_is_found(self, busy: Desk) -> None:
        other = Desk.open()
        sql(f"UPDATE balances SET account_id = {other.account_id} WHERE account_id <> {busy.account_id}")
        report = verify_ledger(None)
        assert "balance row" in failed(report)
        assert other.account_id in report.account_ids

    @pytest.mark.parametrize(
        ("change", "check"),
        [
            ("UPDATE holds SET amount = amount + 1 WHERE status = 'open'", "holds"),
            ("UPDATE holds SET captured = captured - 1 WHERE status = 'captured'", "holds"),
            ("UPDATE holds SET status = 'released', closed_at = 1 WHERE status = 'open'", "holds"),
            ("UPDATE holds SET transaction_id = NULL WHERE status = 'captured'", "holds"),
            ("UPDATE hold_lots SET grant_id = 3", "holds"),
            ("UPDATE grants SET held = held + 1 WHERE id = 1", "holds"),
            ("UPDATE grants SET revoked = revoked - 1 WHERE revoked > 0", "revocations"),
            ("UPDATE grants SET revoked = 0 WHERE revoked > 0", "revocations"),
            ("UPDATE balances SET next_expiry_at = NULL", "due instants"),
            ("UPDATE balances SET next_expiry_at = next_expiry_at + 999999999999", "due instants"),
            ("UPDATE transactions SET related_id = 1 WHERE type = 'refund'", "refunds"),
            ("UPDATE transactions SET related_id = NULL WHERE type = 'transfer'", "transfers"),
        ],
    )
    def test_changed_hold_refund_or_transfer_is_found(self, busy: Desk, change: str, check: str) -> None:
        assert check in failed(tamper(change))

    def test_dropped_trigger_is_found(self, busy: Desk) -> None:
        disarm()
        report = verify_ledger(None)
        assert failed(report) == {"append-only"}
        assert "transactions has lost its trigger" in told(report)

    def test_trigger_that_no_longer_refuses_is_found(self, busy: Desk) -> None:
        if db.engine.dialect.name == "sqlite":
            sql(
                "DROP TRIGGER transactions_no_update",
                "CREATE TRIGGER transactions_no_update BEFORE UPDATE ON transactions BEGIN SELECT 1; END",
            )
        else:
            sql(
                "CREATE OR REPLACE FUNCTION transactions_append_only() RETURNS trigger LANGUAGE plpgsql "
                "AS $body$ BEGIN RETURN NEW; END $body$"
            )
        assert failed(verify_ledger(None)) == {"append-only"}

    def test_disabled_trigger_is_found(self, busy: Desk) -> None:
        if db.engine.dialect.name == "postgresql":
            sql("ALTER TABLE transactions DISABLE TRIGGER USER")
        else:  # SQLite cannot disable one, only drop it
            sql("DROP TRIGGER transactions_no_delete")
        assert failed(verify_ledger(None)) == {"append-only"}

    def test_allocation_without_a_line_is_found(self, busy: Desk) -> None:
        switch = (
            ("PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON")
            if db.engine.dialect.name == "sqlite"
            else ("SET session_replication_role = replica", "SET session_replication_role = origin")
        )
        db.session.rollback()
        with db.engine.connect() as connection:
            driver = connection.connection.cursor()
            driver.execute(switch[0])
            driver.execute(
                "INSERT INTO allocations (transaction_id, position, grant_id, amount) VALUES (777, 0, 1, 5)"
            )
            connection.connection.commit()
            driver.execute(switch[1])
            connection.connection.commit()
        report = verify_ledger(None)
        assert {"allocations", "lots"} <= failed(report)
        assert "transaction 777, which does not exist" in told(report)


class TestOrders:
    def order(self, desk: Desk, status: str = "paid") -> int:
        sql(
            "INSERT INTO orders (public_id, account_id, kind, credit_type_id, credits, price_cents, "
            "currency, description, status, request_key, success_url, cancel_url, actor, created_at, "
            "expires_at) VALUES "
            f"('o1', {desk.account_id}, 'package', 1, 500, 500, 'usd', '500', '{status}', 'k', '', '', "
            "'user:1', 0, 1)"
        )
        return 1

    def test_paid_order_without_payment_is_found(self, desk: Desk) -> None:
        self.order(desk)
        assert "order 1: is paid but has no payment" in told(verify_ledger(None))

    @pytest.mark.parametrize(("credits", "times", "fails"), [(500, 1, False), (499, 1, True), (500, 2, True)])
    def test_paid_order_brings_its_credits_once(
        self, desk: Desk, credits: int, times: int, fails: bool
    ) -> None:
        order_id = self.order(desk)
        payment_id = make_payment(desk.account_id)
        sql(f"UPDATE payments SET order_id = {order_id} WHERE id = {payment_id}")
        for _ in range(times):
            desk.grant(credits, "purchase", payment_id=payment_id)
        assert ("payments" in failed(verify_ledger(None))) is fails

    def test_order_that_was_credited_but_not_paid_is_found(self, desk: Desk) -> None:
        order_id = self.order(desk, "open")
        payment_id = make_payment(desk.account_id)
        sql(f"UPDATE payments SET order_id = {order_id} WHERE id = {payment_id}")
        desk.grant(500, "purchase", payment_id=payment_id)
        assert "came with the payment of an order that is open" in told(verify_ledger(None))

    def test_lot_of_anothers_payment_is_found(self, desk: Desk) -> None:
        desk.grant(5, "purchase", payment_id=make_payment(Desk.open().account_id))
        assert "was bought by a payment of account" in told(verify_ledger(None))


class TestHeads:
    def test_file_is_private_signed_and_reads_back(self, busy: Desk, tmp_path: Path) -> None:
        path = tmp_path / "heads.json"
        assert read_heads(path) is None
        assert write_heads(path) == 2
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        heads = read_heads(path)
        assert heads is not None
        assert heads[busy.account_id, 1].sequence == len(busy.lines())
        assert os.listdir(tmp_path).count("heads.json") == 1
        busy.spend(1)
        report = verify_ledger(heads)
        assert report.passed, told(report)
        assert {c.name: c.checked for c in report.checks}["heads"] == 2

    @pytest.mark.parametrize(
        "damage",
        [
            lambda document: document["heads"][0].__setitem__(2, 1),
            lambda document: document.__setitem__("heads", []),
            lambda document: document.__setitem__("noted_at", "2020-01-01T00:00:00Z"),
            lambda document: document.pop("signature"),
        ],
    )
    def test_changed_file_is_refused(
        self, busy: Desk, tmp_path: Path, damage: Callable[[dict], object]
    ) -> None:
        path = tmp_path / "heads.json"
        write_heads(path)
        document = json.loads(path.read_text())
        damage(document)
        path.write_text(json.dumps(document))
        with pytest.raises(HeadsDamaged):
            read_heads(path)
        report = prove_and_note(path, "command")
        assert failed(report) == {"heads file"}

    def test_file_that_is_no_json_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "heads.json").write_text("{")
        with pytest.raises(HeadsDamaged):
            read_heads(tmp_path / "heads.json")


class TestProveAndNote:
    def test_passing_proof_notes_the_heads(self, busy: Desk, tmp_path: Path) -> None:
        path = tmp_path / "heads.json"
        assert prove_and_note(path, "command").passed
        assert len(read_heads(path) or {}) == 2

    def test_failing_proof_parks_the_account_alone_and_notes_nothing(
        self, busy: Desk, tmp_path: Path
    ) -> None:
        other = Desk.open()
        other.grant(5)
        report = tamper(f"UPDATE transactions SET actor = 'x' WHERE account_id = {busy.account_id}")
        path = tmp_path / "heads.json"
        report = prove_and_note(path, "command")
        assert not report.passed and not path.exists()
        db.session.rollback()
        statuses = dict(db.session.execute(select(Account.id, Account.status)).tuples().all())
        assert statuses[busy.account_id] == "parked"
        assert statuses[other.account_id] == "active"
        (audited,) = db.session.scalars(select(AuditEvent))
        assert (audited.action, audited.account_id, audited.actor) == (
            "account.parked", busy.account_id, "command",
        )  # fmt: skip
        assert "is not as it was signed" in audited.details

    def test_parking_again_changes_and_records_nothing(self, busy: Desk) -> None:
        report = tamper(f"UPDATE transactions SET actor = 'x' WHERE account_id = {busy.account_id}")
        assert park_accounts(report, "job:verify-ledger") == [busy.account_id]
        assert park_accounts(report, "job:verify-ledger") == []
        db.session.rollback()
        assert len(list(db.session.scalars(select(AuditEvent)))) == 1

    def test_frozen_account_is_parked_too(self, busy: Desk) -> None:
        set_status(busy.account_id, "frozen")
        report = tamper(f"UPDATE transactions SET actor = 'x' WHERE account_id = {busy.account_id}")
        assert park_accounts(report, "command") == [busy.account_id]

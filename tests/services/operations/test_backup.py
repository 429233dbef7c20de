"""A backup under load is a whole ledger, and comes back as one."""

import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from errors import Conflict
from extensions import db
from services.clock import wall_now
from services.ledger.debits import Spend, spend_credits
from services.ledger.grants import Incoming, grant_credits
from services.ledger.proof import HEADS_FILE, prove_and_note, read_heads, verify_ledger
from services.operations import backup as backups
from services.operations.backup import BackupFailed, nightly_backup, write_backup
from services.operations.facts import fact
from services.operations.instance_lock import instance_lock
from services.operations.restore import PAYMENTS_PAUSED, RestoreRefused, restore_backup
from sqlite_library import sqlite
from tests.conftest import make_account


def grant(account_id: int, amount: int = 1_000) -> None:
    grant_credits(
        Incoming(account_id=account_id, credit_type="credits", amount=amount, source="bonus", actor="command")
    )


def spend(account_id: int, amount: int = 1) -> None:
    spend_credits(Spend(account_id=account_id, credit_type="credits", amount=amount, actor="command"))


def balance_in_file(path: Path) -> int:
    connection = sqlite.connect(path)
    try:
        return connection.execute("SELECT balance FROM balances").fetchone()[0]
    finally:
        connection.close()


def restore(app, source: Path):
    settings = app.extensions["settings"]
    return restore_backup(source, settings.backup_dir, settings.instance_dir / HEADS_FILE)


class TestBackup:
    def test_backup_under_load_restores_to_a_whole_ledger(self, migrated_app, tmp_path):
        account_id = make_account()
        grant(account_id, 100_000)
        stop = threading.Event()
        spent = []

        def keep_spending():
            with migrated_app.app_context():
                while not stop.is_set():
                    spend(account_id)
                    spent.append(1)

        writers = [threading.Thread(target=keep_spending) for _ in range(3)]
        for writer in writers:
            writer.start()
        files = []
        try:
            for number in range(4):
                seen = len(spent)
                files.append((seen, write_backup(tmp_path / f"copy-{number}.sqlite"), len(spent)))
        finally:
            stop.set()
            for writer in writers:
                writer.join()
        assert len(spent) > files[0][0], "nobody wrote while the backups were made"
        for before, path, after in files:
            # A spend is counted after its commit: up to one a writer is in without being counted.
            assert before <= 100_000 - balance_in_file(path) <= after + len(writers)
        restored = restore(migrated_app, files[-1][1])
        report = verify_ledger(read_heads(tmp_path / HEADS_FILE))
        assert report.passed, list(report.lines())
        assert restored.replaced is not None and restored.replaced.exists()

    def test_file_is_private_and_one_file(self, migrated_app, tmp_path):
        path = write_backup(tmp_path / "b" / "copy.sqlite")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert sorted(p.name for p in path.parent.iterdir()) == ["copy.sqlite", "copy.sqlite.heads.json"]

    def test_heads_beside_hold_in_the_backup(self, migrated_app, tmp_path):
        account_id = make_account()
        grant(account_id)
        path = write_backup(tmp_path / "copy.sqlite")
        heads = read_heads(backups.heads_beside(path))
        connection = sqlite.connect(path)
        row = connection.execute("SELECT last_sequence, head_mac FROM balances").fetchone()
        connection.close()
        assert [(head.sequence, head.mac) for head in heads.values()] == [row]

    def test_failure_leaves_the_old_backup(self, migrated_app, tmp_path, monkeypatch):
        path = write_backup(tmp_path / "copy.sqlite")
        before = path.read_bytes()

        def refuse(*_args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(backups, "copy_sqlite", refuse)
        with pytest.raises(BackupFailed, match="No space left"):
            write_backup(path)
        assert path.read_bytes() == before
        assert not list(tmp_path.glob(".copy*"))

    def test_nightly_backups_beyond_keep_are_dropped(self, migrated_app, tmp_path, monkeypatch):
        folder = tmp_path / "nightly"
        for day in range(4):
            monkeypatch.setattr(backups, "wall_now", lambda day=day: wall_now().replace(year=2020 + day))
            nightly_backup(folder, keep=2)
        names = sorted(path.name for path in folder.glob("*.sqlite"))
        assert [name[7:11] for name in names] == ["2022", "2023"]
        assert len(list(folder.iterdir())) == 4


class TestRestore:
    def test_state_of_the_backup_comes_back_and_the_replaced_stays(self, migrated_app, tmp_path):
        account_id = make_account()
        grant(account_id)
        path = write_backup(tmp_path / "copy.sqlite")
        spend(account_id, 400)
        db.session.remove()
        restored = restore(migrated_app, path)
        assert balance_in_file(tmp_path / "coffer.sqlite") == 1_000
        assert balance_in_file(restored.replaced) == 600
        assert "copy.sqlite" in fact(PAYMENTS_PAUSED)
        assert restored.warnings == []

    def test_proof_passes_after_the_heads_went_back_too(self, migrated_app, tmp_path):
        account_id = make_account()
        grant(account_id)
        path = write_backup(tmp_path / "copy.sqlite")
        spend(account_id, 400)
        assert prove_and_note(tmp_path / HEADS_FILE, "command").passed
        restore(migrated_app, path)
        assert prove_and_note(tmp_path / HEADS_FILE, "command").passed
        assert list(tmp_path.glob(f"{HEADS_FILE}.replaced-*"))

    def test_damaged_file_is_refused_and_nothing_changes(self, migrated_app, tmp_path):
        grant(make_account())
        path = write_backup(tmp_path / "copy.sqlite")
        content = bytearray(path.read_bytes())
        content[8192:12288] = b"\x55" * 4096
        path.write_bytes(content)
        with pytest.raises(RestoreRefused):
            restore(migrated_app, path)
        assert balance_in_file(tmp_path / "coffer.sqlite") == 1_000
        assert not list(tmp_path.glob("*.replaced-*")) and not list(tmp_path.glob(".coffer*"))

    def test_other_sqlite_file_is_refused(self, migrated_app, tmp_path):
        other = sqlite.connect(tmp_path / "other.sqlite")
        other.execute("CREATE TABLE t (x)")
        other.close()
        with pytest.raises(RestoreRefused, match="no whole backup of Coffer"):
            restore(migrated_app, tmp_path / "other.sqlite")

    def test_file_of_a_later_version_is_refused(self, migrated_app, tmp_path):
        path = write_backup(tmp_path / "copy.sqlite")
        connection = sqlite.connect(path)
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
        connection.close()
        with pytest.raises(RestoreRefused, match="later version"):
            restore(migrated_app, path)

    def test_missing_file_is_refused(self, migrated_app, tmp_path):
        with pytest.raises(RestoreRefused, match="There is no file"):
            restore(migrated_app, tmp_path / "nowhere.sqlite")

    def test_database_that_another_process_has_open_is_refused(self, migrated_app, tmp_path):
        path = write_backup(tmp_path / "copy.sqlite")
        script = (
            "import sys; from sqlite_library import sqlite, prepare; c = sqlite.connect(sys.argv[1]); "
            "prepare(c); c.execute('SELECT count(*) FROM accounts').fetchone(); print('open', flush=True); "
            "sys.stdin.read()"
        )
        other = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "coffer.sqlite")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3],
        )  # fmt: skip
        try:
            assert other.stdout.readline() == b"open\n"
            with pytest.raises(Conflict, match="open"):
                restore(migrated_app, path)
        finally:
            other.communicate()
        assert restore(migrated_app, path).replaced

    def test_lines_of_another_ledger_key_are_warned_of(self, migrated_app, tmp_path, monkeypatch):
        grant(make_account())
        path = write_backup(tmp_path / "copy.sqlite")
        from services.ledger import chain

        own = chain.key()
        chain.use_key("another-key")
        try:
            (warning,) = restore(migrated_app, path).warnings
        finally:
            chain._key = own
        assert own.id in warning and "LEDGER_KEY" in warning

    def test_instance_lock_keeps_a_second_process_out(self, migrated_app, tmp_path):
        with instance_lock(tmp_path), pytest.raises(Conflict, match="runs on"), instance_lock(tmp_path):
            pass
        with instance_lock(tmp_path, shared=True), instance_lock(tmp_path, shared=True):
            pass


@pytest.mark.postgres
class TestPostgres:
    def test_backup_and_restore_round_trip(self, migrated_postgres_app, tmp_path):
        account_id = make_account()
        grant(account_id)
        path = write_backup(tmp_path / "copy.dump")
        spend(account_id, 400)
        db.session.remove()
        restored = restore(migrated_postgres_app, path)
        assert db.session.execute(db.text("SELECT balance FROM balances")).scalar() == 1_000
        assert "copy.dump" in fact(PAYMENTS_PAUSED)
        assert restored.replaced.exists()
        assert verify_ledger(read_heads(tmp_path / HEADS_FILE)).passed
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_file_that_is_no_dump_is_refused(self, migrated_postgres_app, tmp_path):
        grant(make_account())
        (tmp_path / "bad.dump").write_text("nonsense")
        with pytest.raises(RestoreRefused):
            restore(migrated_postgres_app, tmp_path / "bad.dump")
        assert db.session.execute(db.text("SELECT balance FROM balances")).scalar() == 1_000

    def test_missing_tool_is_named(self, migrated_postgres_app, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(BackupFailed, match="pg_dump is not installed"):
            write_backup(tmp_path / "copy.dump")

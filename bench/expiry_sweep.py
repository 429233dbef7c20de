"""How fast the expiry sweep is, and how long it keeps others from writing.

    python bench/expiry_sweep.py [--grants 100000]

Two shapes: all grants on one account, and one grant each on as many accounts. Beside them, in the same run, a
floor: the bare driver doing the same rows (a line, an allocation, the lot, the balance) in the same chunks
with the same durability, without chain, triggers' keys or ORM.
"""

import argparse
import json
import secrets
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


from app import create_app
from config import Settings
from extensions import db
from models.accounts import Account
from services.clock import set_business_offset, to_microseconds, wall_now
from services.ledger.expiry_sweep import sweep_due
from services.ledger.grants import Incoming, grant_credits
from services.operations.schema import upgrade_schema
from services.unit_of_work import atomic
from sqlite_library import prepare, sqlite

CHUNK = 1_000


def main() -> None:
    """Measure and print one JSON object a shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grants", type=int, default=100_000)
    wanted = parser.parse_args().grants
    for shape in ("one account", "many accounts"):
        with tempfile.TemporaryDirectory(prefix="coffer-bench-") as folder:
            print(json.dumps(measured(Path(folder), shape, wanted)), flush=True)


def measured(folder: Path, shape: str, wanted: int) -> dict:
    """One shape on a fresh database, with its floor."""
    settings = Settings(
        _env_file=None, instance_dir=folder, secret_key="s" * 64, ledger_key="l" * 64, scheduler="off"
    )
    app = create_app(settings)
    with app.app_context():
        upgrade_schema()
        fill(shape, wanted)
        set_business_offset(timedelta(days=2))
        began = time.perf_counter()
        swept = sweep_due()
        took = time.perf_counter() - began
        set_business_offset(timedelta(0))
        assert swept.lots == wanted, swept
        db.session.remove()
        db.engine.dispose()
    floor = bare_per_second(folder / "bare.sqlite", shape, wanted)
    return {
        "shape": shape,
        "grants": wanted,
        "lots_per_second": round(wanted / took),
        "longest_unit_ms": round(swept.longest_seconds * 1000, 1),
        "units": swept.units,
        "bare_lots_per_second": round(floor),
        "of_bare": round(wanted / took / floor, 3),
    }


def fill(shape: str, wanted: int) -> None:
    """Accounts and grants, made by the ledger itself."""
    account_ids = make_accounts(1 if shape == "one account" else wanted)
    expires_at = wall_now() + timedelta(days=1)
    pairs = [(account_ids[n % len(account_ids)], n) for n in range(wanted)]
    for start in range(0, wanted, 2_000):
        grant_many(pairs[start : start + 2_000], expires_at)


@atomic
def make_accounts(count: int) -> list[int]:
    """So many accounts."""
    accounts = [
        Account(public_id=secrets.token_hex(12), slug=f"a{n}", name=f"A {n}", created_at=wall_now())
        for n in range(count)
    ]
    db.session.add_all(accounts)
    db.session.flush()
    return [account.id for account in accounts]


@atomic
def grant_many(pairs: list[tuple[int, int]], expires_at) -> None:
    """A chunk of grants in one unit."""
    for account_id, number in pairs:
        grant_credits(
            Incoming(
                account_id=account_id, credit_type="credits", amount=10 + number % 7, source="bonus",
                actor="command", expires_at=expires_at + timedelta(seconds=number % 3_600),
            )
        )  # fmt: skip


def bare_per_second(path: Path, shape: str, wanted: int) -> float:
    """The same rows by the bare driver."""
    connection = sqlite.connect(path)
    prepare(connection)
    connection.executescript(
        "CREATE TABLE balances (account INTEGER PRIMARY KEY, balance INTEGER, sequence INTEGER);"
        "CREATE TABLE lots (id INTEGER PRIMARY KEY, account INTEGER, remaining INTEGER, expires_at INTEGER);"
        "CREATE INDEX lots_due ON lots (expires_at) WHERE remaining > 0;"
        "CREATE TABLE lines (id INTEGER PRIMARY KEY, account INTEGER, sequence INTEGER, amount INTEGER,"
        " balance_before INTEGER, balance_after INTEGER, lot INTEGER, description TEXT, created_at INTEGER,"
        " UNIQUE (account, sequence));"
        "CREATE TABLE allocations (line INTEGER, position INTEGER, lot INTEGER, amount INTEGER,"
        " PRIMARY KEY (line, position));"
    )
    accounts = 1 if shape == "one account" else wanted
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO balances VALUES (?, ?, 0)", ((n, 10**9) for n in range(accounts)))
    connection.executemany(
        "INSERT INTO lots VALUES (?, ?, 10, 1)", ((n, n % accounts) for n in range(wanted))
    )
    connection.execute("COMMIT")
    began = time.perf_counter()
    while bare_chunk(connection):
        pass
    return wanted / (time.perf_counter() - began)


def bare_chunk(connection) -> int:
    """One chunk of the floor; returns how many lots it wrote off."""
    now = to_microseconds(wall_now())
    connection.execute("BEGIN IMMEDIATE")
    rows = connection.execute(
        "SELECT lots.id, lots.account, remaining, balance, sequence FROM lots JOIN balances USING (account) "
        "WHERE remaining > 0 AND expires_at <= ? ORDER BY expires_at LIMIT ?", (now, CHUNK),
    ).fetchall()  # fmt: skip
    state: dict[int, tuple[int, int]] = {}
    lines = []
    for lot, account, remaining, balance, sequence in rows:
        before, number = state.get(account, (balance, sequence))
        state[account] = (before - remaining, number + 1)
        lines.append(
            (account, number + 1, -remaining, before, before - remaining, lot, "Credits expired", now)
        )
    first = connection.execute("SELECT coalesce(max(id), 0) FROM lines").fetchone()[0]
    connection.executemany(
        "INSERT INTO lines (account, sequence, amount, balance_before, balance_after, lot, description,"
        " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", lines,
    )  # fmt: skip
    connection.execute("INSERT INTO allocations SELECT id, 0, lot, amount FROM lines WHERE id > ?", (first,))
    connection.executemany("UPDATE lots SET remaining = 0 WHERE id = ?", ((row[0],) for row in rows))
    connection.executemany(
        "UPDATE balances SET balance = ?, sequence = ? WHERE account = ?",
        ((balance, number, account) for account, (balance, number) in state.items()),
    )
    connection.execute("COMMIT")
    return len(rows)


if __name__ == "__main__":
    main()

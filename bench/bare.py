"""The floor: the same logical work as a deduct in one bare transaction of the driver.

The key is looked up, the balance read, the lot picked by burn order, then lot, line, allocation, balance and
key are written, with the same pragmas as Coffer's own connections. No chain, no holds, no checks beyond these.
"""

import itertools
import json
import time
from pathlib import Path

from sqlite_library import prepare, sqlite

TABLES = """
CREATE TABLE balances (account INTEGER PRIMARY KEY, balance INTEGER NOT NULL, used INTEGER NOT NULL,
    sequence INTEGER NOT NULL) STRICT;
CREATE TABLE lots (id INTEGER PRIMARY KEY, account INTEGER NOT NULL, remaining INTEGER NOT NULL,
    priority INTEGER NOT NULL, expires_at INTEGER) STRICT;
CREATE INDEX lots_open ON lots (account, priority, expires_at, id) WHERE remaining > 0;
CREATE TABLE lines (id INTEGER PRIMARY KEY, account INTEGER NOT NULL, sequence INTEGER NOT NULL,
    type TEXT NOT NULL, amount INTEGER NOT NULL, balance_before INTEGER NOT NULL,
    balance_after INTEGER NOT NULL, task_id TEXT, description TEXT NOT NULL, created_at INTEGER NOT NULL,
    UNIQUE (account, sequence)) STRICT;
CREATE TABLE allocations (line INTEGER NOT NULL, position INTEGER NOT NULL, lot INTEGER NOT NULL,
    amount INTEGER NOT NULL, PRIMARY KEY (line, position)) STRICT;
CREATE TABLE keys (account INTEGER NOT NULL, key TEXT NOT NULL, answer TEXT NOT NULL,
    created_at INTEGER NOT NULL, PRIMARY KEY (account, key)) STRICT;
"""


class BareLedger:
    """One account with lots, on a database file of its own. One thread at a time may use an instance."""

    def __init__(self, path: Path, lots: int = 1):
        self._numbers = itertools.count(1)
        is_new = not path.exists()
        self._connection = sqlite.connect(path, cached_statements=256, check_same_thread=False)
        prepare(self._connection)
        if is_new:
            self._connection.executescript(TABLES)
            self._connection.execute("INSERT INTO balances VALUES (1, ?, 0, 0)", (lots * 10**9,))
            self._connection.executemany(
                "INSERT INTO lots (account, remaining, priority) VALUES (1, ?, 200)", [(10**9,)] * lots
            )

    def deduct(self, amount: int = 1, key: str | None = None) -> str:
        """Spend, durably, and return the answer."""
        run = self._connection.execute
        key = key or f"bare-{next(self._numbers)}"
        now = time.time_ns() // 1000
        run("BEGIN IMMEDIATE")
        try:
            found = run("SELECT answer FROM keys WHERE account = 1 AND key = ?", (key,)).fetchone()
            if found is not None:
                run("COMMIT")
                return found[0]
            balance, sequence = run("SELECT balance, sequence FROM balances WHERE account = 1").fetchone()
            assert balance >= amount, "the floor has run dry"
            lot, _ = run(
                "SELECT id, remaining FROM lots WHERE account = 1 AND remaining > 0 "
                "ORDER BY priority, expires_at, id LIMIT 1"
            ).fetchone()
            run("UPDATE lots SET remaining = remaining - ? WHERE id = ?", (amount, lot))
            line = run(
                "INSERT INTO lines (account, sequence, type, amount, balance_before, balance_after, task_id, "
                "description, created_at) VALUES (1, ?, 'usage', ?, ?, ?, ?, ?, ?)",
                (sequence + 1, -amount, balance, balance - amount, "task-1", "Rendered a scene", now),
            ).lastrowid
            run("INSERT INTO allocations VALUES (?, 0, ?, ?)", (line, lot, -amount))
            run(
                "UPDATE balances SET balance = balance - ?, used = used + ?, sequence = sequence + 1 "
                "WHERE account = 1",
                (amount, amount),
            )
            answer = json.dumps({"transaction_id": line, "balance_after": balance - amount})
            run("INSERT INTO keys VALUES (1, ?, ?, ?)", (key, answer, now))
            run("COMMIT")
        except BaseException:
            run("ROLLBACK")
            raise
        return answer

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

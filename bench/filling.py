"""A journal with many lines, written fast and such that the proof holds.

Lines go through the ledger's own ``Book``, which chains them; only the inserts are in bulk. A filled database
is kept in bench/results and copied, since making a million lines takes a minute or two.
"""

import secrets
import sys
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from bench.results import RESULTS
from extensions import db
from models.accounts import Account, AccountName
from models.catalog import CreditType
from services.clock import to_microseconds, wall_now
from services.ledger.book import INSERT_ALLOCATION, Book, Line, NewLot
from services.ledger.debits import DRAW
from services.ledger.expiry import INSERT_LINES
from services.ledger.grants import Incoming, grant_credits
from services.ledger.opening import open_book
from services.operations.schema import head_revision, upgrade_schema
from services.unit_of_work import atomic

# Each lot of these fills pays for so many lines of one unit: one purchase, then usage.
LINES_PER_LOT = 1_000
LINES_PER_UNIT = 20_000
SECONDS_BETWEEN_LINES = 1
RICH = 10**9


@atomic
def add_account(slug: str) -> int:
    """An account, and the credit type where it is missing; returns the account's id."""
    if db.session.query(CreditType.id).filter_by(code="credits").first() is None:
        db.session.add(CreditType(code="credits", name="Credits", created_at=wall_now()))
    account = Account(public_id=secrets.token_hex(12), slug=slug, name=slug.title(), created_at=wall_now())
    db.session.add(account)
    db.session.flush()
    db.session.add(AccountName(name=slug, account_id=account.id, kind="slug"))
    db.session.flush()
    return account.id


@atomic
def add_lots(account_id: int, count: int) -> None:
    """So many open lots that no benchmark empties."""
    for _ in range(count):
        grant_credits(
            Incoming(
                account_id=account_id, credit_type="credits", amount=RICH, source="bonus", actor="command"
            )
        )


def filled_database(lines: int) -> Path:
    """The kept database whose first account has so many lines; made where it is missing."""
    from app import create_app
    from bench.instance import settings_for

    path = RESULTS / f"ledger-{lines}-{head_revision()}.sqlite"
    if path.exists():
        return path
    print(f"Filling a ledger with {lines:,} lines; it is kept for later runs ...", file=sys.stderr)
    RESULTS.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    app = create_app(settings_for(RESULTS, f"sqlite:///{unfinished}"))
    with app.app_context():
        upgrade_schema()
        fill(add_account("bench"), lines)
        db.session.remove()
        with db.engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        db.engine.dispose()
    unfinished.rename(path)
    return path


def fill(account_id: int, lines: int) -> None:
    """Append so many lines, the last of them now, one second apart."""
    began = wall_now() - timedelta(seconds=lines * SECONDS_BETWEEN_LINES)
    for start in range(0, lines, LINES_PER_UNIT):
        _fill_unit(account_id, began, start, min(LINES_PER_UNIT, lines - start))


@atomic
def _fill_unit(account_id: int, began: datetime, start: int, count: int) -> None:
    book = open_book(account_id, "credits")
    for first in range(start, start + count, LINES_PER_LOT):
        _fill_lot(book, began, first, min(LINES_PER_LOT, start + count - first))
    book.close()


def _fill_lot(book: Book, began: datetime, first: int, count: int) -> None:
    """One purchase and the usage that spends it."""
    _move(book, began, first)
    lot = book.make_lot(NewLot("purchase", max(count - 1, 1), 200, None, False))
    purchase_id = book.write(
        Line("purchase", lot.amount, "command", [(lot.grant_id, lot.amount, False)], made=[lot],
             grant_id=lot.grant_id, payment_method="stripe", description="1,000 credits")
    )  # fmt: skip
    rows = []
    for number in range(first + 1, first + count):
        _move(book, began, number)
        rows.append(
            book.prepared(
                Line("usage", -1, "key:1", [(lot.grant_id, -1, False)], task_id=f"task-{number % 5000}",
                     description="Rendered a scene")
            )
        )  # fmt: skip
    INSERT_LINES.run_many(rows)
    # Nobody else writes meanwhile, so the new lines' ids follow on the purchase's.
    INSERT_ALLOCATION.run_many(
        {"transaction_id": purchase_id + n, "position": 0, "grant_id": lot.grant_id, "amount": -1}
        for n in range(1, len(rows) + 1)
    )
    if rows:
        DRAW.run(grant_id=lot.grant_id, part=len(rows)).close()


def _move(book: Book, began: datetime, number: int) -> None:
    book.now = began + timedelta(seconds=number * SECONDS_BETWEEN_LINES)
    book.now_at = to_microseconds(book.now)

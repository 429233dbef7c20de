"""Events of the journal: read from it afterwards, so that a spend takes no longer for them.

Each page of the journal has a mark, moved on in the unit that writes the events: every line is in exactly one.
A line is committed with its page's last sequence, and sequences have no gaps, so whatever the page shows is
there to be read, in whichever order units were committed. Source: docs/webhooks.md.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from extensions import db
from models.billing import Payment
from models.catalog import CreditType
from models.ledger import Balance, Grant, Transaction
from models.outgoing import JournalMark
from services.clock import from_microseconds, iso
from services.events.publishing import publish
from services.money import to_number
from services.statements import Statement
from services.unit_of_work import atomic

PAGES_A_UNIT = 50
LINES_AN_EVENT = 10_000
GIVEN_TYPES = ("purchase", "subscription", "overage", "bonus", "adjustment", "transfer")
_balances, _marks = Balance.__table__.c, JournalMark.__table__.c
_lines, _grants, _types = Transaction.__table__.c, Grant.__table__.c, CreditType.__table__.c
_payments = Payment.__table__.c
_of_page = and_(
    _lines.account_id == bindparam("account_id"), _lines.credit_type_id == bindparam("credit_type_id"),
    _lines.sequence > bindparam("after"), _lines.sequence <= bindparam("up_to"),
)  # fmt: skip
MOVED_PAGES = Statement(
    select(_balances.account_id, _balances.credit_type_id)
    .select_from(
        Balance.__table__.outerjoin(
            JournalMark.__table__,
            and_(
                _marks.account_id == _balances.account_id, _marks.credit_type_id == _balances.credit_type_id
            ),
        )
    )
    .where(_balances.last_sequence > func.coalesce(_marks.sequence, 0))
    .order_by(_balances.account_id, _balances.credit_type_id)
    .limit(PAGES_A_UNIT)
)
PAGE = Statement(
    select(_types.code, _types.scale, _balances.last_sequence, func.coalesce(_marks.sequence, 0))
    .select_from(
        Balance.__table__.join(CreditType.__table__, _types.id == _balances.credit_type_id).outerjoin(
            JournalMark.__table__,
            and_(
                _marks.account_id == _balances.account_id, _marks.credit_type_id == _balances.credit_type_id
            ),
        )
    )
    .where(
        _balances.account_id == bindparam("account_id"),
        _balances.credit_type_id == bindparam("credit_type_id"),
    )
)
GIVEN_LINES = Statement(
    select(
        _lines.id, _lines.type, _lines.amount, _lines.balance_after, _lines.description, _lines.created_at,
        _grants.expires_at, _payments.public_id,
    )
    .select_from(
        Transaction.__table__.outerjoin(Grant.__table__, _grants.id == _lines.grant_id).outerjoin(
            Payment.__table__, _payments.id == _grants.payment_id
        )
    )
    .where(_of_page, _lines.type.in_([bindparam(f"type{n}", one) for n, one in enumerate(GIVEN_TYPES)]))
    .where(_lines.amount > 0)
    .order_by(_lines.sequence)
)  # fmt: skip
USED_LINES = Statement(
    select(
        func.count(), func.sum(case((_lines.amount < 0, -_lines.amount), else_=0)),
        func.sum(case((_lines.amount < 0, 1), else_=0)), func.sum(case((_lines.amount > 0, _lines.amount), else_=0)),
        func.min(_lines.id), func.max(_lines.id), func.min(_lines.created_at), func.max(_lines.created_at),
        func.max(_lines.sequence),
    ).where(_of_page, _lines.type.in_([bindparam("spend", "usage"), bindparam("refund", "refund")]))
)  # fmt: skip
BALANCE_AFTER = Statement(
    select(_lines.balance_after).where(
        _lines.account_id == bindparam("account_id"), _lines.credit_type_id == bindparam("credit_type_id"),
        _lines.sequence == bindparam("sequence"),
    )
)  # fmt: skip


def _mark_statement(dialect: Any) -> Statement:
    insert = dialect.insert(JournalMark.__table__).values(
        {name: bindparam(name) for name in ("account_id", "credit_type_id", "sequence")}
    )
    return Statement(
        insert.on_conflict_do_update(
            index_elements=["account_id", "credit_type_id"], set_={"sequence": insert.excluded.sequence}
        )
    )


MOVE_MARK = {"sqlite": _mark_statement(sqlite), "postgresql": _mark_statement(postgresql)}


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Lines of one page that were in no event yet: after one sequence, up to another."""

    account_id: int
    credit_type_id: int
    credit_type: str
    scale: int
    after: int
    up_to: int

    @property
    def place(self) -> dict[str, int]:
        """As the statements take it."""
        return {
            "account_id": self.account_id, "credit_type_id": self.credit_type_id, "after": self.after,
            "up_to": self.up_to,
        }  # fmt: skip


def publish_journal() -> int:
    """Make every line that is in no event yet into events; how many stretches of lines. Idempotent.

    One at a time: the caller holds the job's lease, and ``number_events`` comes afterwards.
    """
    total = 0
    while True:
        done, is_all = _publish_pages()
        total += done
        if is_all:
            return total


@atomic
def _publish_pages() -> tuple[int, bool]:
    """How many pages, and whether no line was left over."""
    pages = MOVED_PAGES.all()
    is_all = len(pages) < PAGES_A_UNIT
    for account_id, credit_type_id in pages:
        row = PAGE.first(account_id=account_id, credit_type_id=credit_type_id)
        assert row is not None
        code, scale, last, marked = row
        stretch = _Stretch(
            account_id, credit_type_id, code, scale, marked, min(last, marked + LINES_AN_EVENT)
        )
        _publish_given(stretch)
        _publish_used(stretch)
        MOVE_MARK[db.engine.dialect.name].defer(
            account_id=account_id, credit_type_id=credit_type_id, sequence=stretch.up_to
        )
        is_all = is_all and stretch.up_to == last
    return len(pages), is_all


def _publish_given(stretch: _Stretch) -> None:
    for line_id, kind, amount, balance, description, made_at, expires_at, payment in GIVEN_LINES.all(
        **stretch.place
    ):
        data = {
            "credit_type": stretch.credit_type,
            "amount": to_number(amount, stretch.scale),
            "source": kind,
            "balance": to_number(balance, stretch.scale),
            "transaction_id": line_id,
            "description": description,
            "payment": payment,
            "expires_at": None if expires_at is None else iso(from_microseconds(expires_at)),
        }
        publish(stretch.account_id, "credits.granted", f"line:{line_id}", data, happened_at=made_at)


def _publish_used(stretch: _Stretch) -> None:
    row = USED_LINES.first(**stretch.place)
    assert row is not None
    if not row[0]:
        return
    lines, spent, spends, refunded, first_id, last_id, since, until, sequence = row
    balance = BALANCE_AFTER.first(
        account_id=stretch.account_id, credit_type_id=stretch.credit_type_id, sequence=sequence
    )
    assert balance is not None
    data = {
        "credit_type": stretch.credit_type,
        "amount": to_number(int(spent), stretch.scale),
        "count": int(spends),
        "refunded": to_number(int(refunded), stretch.scale),
        "refunds": lines - int(spends),
        "balance": to_number(balance[0], stretch.scale),
        "first_transaction_id": first_id,
        "last_transaction_id": last_id,
        "since": iso(from_microseconds(since)),
        "until": iso(from_microseconds(until)),
    }
    key = f"lines:{stretch.credit_type_id}:{stretch.after + 1}-{stretch.up_to}"
    publish(stretch.account_id, "credits.spent", key, data, happened_at=until)

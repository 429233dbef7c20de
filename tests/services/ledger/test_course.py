"""How a balance went, day by day, in the account's zone."""

from datetime import UTC, date, datetime, timedelta

import time_machine
from flask import Flask

from services.ledger.balances import positions
from services.ledger.course import course_of
from services.ledger.debits import Spend, spend_credits
from services.ledger.grants import Incoming, grant_credits
from tests.conftest import make_account

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)


def test_days_end_where_the_account_lives(either_app: Flask) -> None:
    account_id = make_account(time_zone="America/New_York")
    give = {"account_id": account_id, "credit_type": "credits", "actor": "t"}

    def at(moment: datetime, spend: int = 0, grant: int = 0) -> None:
        with time_machine.travel(moment, tick=False):
            if grant:
                grant_credits(Incoming(amount=grant, source="bonus", **give))
            if spend:
                spend_credits(Spend(amount=spend, **give))

    at(NOON, grant=100, spend=10)
    at(NOON + timedelta(hours=15), spend=5)  # three in the morning of the 9th in UTC, still the 8th there
    at(NOON + timedelta(hours=17), spend=7)
    at(NOON + timedelta(days=3), spend=1)
    type_id = positions(account_id)[0].credit_type_id
    with time_machine.travel(NOON + timedelta(days=3, hours=1), tick=False):
        found = course_of(account_id, type_id, 7, "America/New_York")
    assert [each.day for each in found] == [date(2026, 3, day) for day in range(5, 12)]
    assert [each.spent for each in found] == [0, 0, 0, 15, 7, 0, 1]
    assert [each.balance for each in found] == [0, 0, 0, 85, 78, 78, 77]

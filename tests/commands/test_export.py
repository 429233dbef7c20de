"""``flask export transactions``."""

import csv
import io
import json

from flask import Flask

from services.ledger.debits import Spend, spend_credits
from services.ledger.grants import Incoming, grant_credits
from tests.conftest import make_account


def filled() -> None:
    """Two accounts, three lines, one description that a spreadsheet would run."""
    for slug in ("acme", "beta"):
        account_id = make_account(slug)
        grant_credits(
            Incoming(account_id=account_id, credit_type="credits", amount=50, source="bonus", actor="command",
                     description="=1+1")
        )  # fmt: skip
    spend_credits(Spend(account_id=account_id, credit_type="credits", amount=7, actor="key:1", task_id="-5"))


class TestTransactions:
    def test_json_holds_every_line_of_every_account(self, app: Flask) -> None:
        filled()
        result = app.test_cli_runner().invoke(args=["export", "transactions", "--format", "json"])
        records = json.loads(result.output)
        assert [(r["account"], r["type"], r["amount"]) for r in records] == [
            ("acme", "bonus", "50"), ("beta", "usage", "-7"), ("beta", "bonus", "50"),
        ]  # fmt: skip
        assert records[0]["description"] == "=1+1"

    def test_csv_quotes_formulas_and_keeps_numbers(self, app: Flask) -> None:
        filled()
        result = app.test_cli_runner().invoke(args=["export", "transactions", "--account", "beta"])
        rows = list(csv.DictReader(io.StringIO(result.output)))
        assert [(row["amount"], row["description"], row["task_id"]) for row in rows] == [
            ("-7", "", "'-5"), ("50", "'=1+1", ""),
        ]  # fmt: skip

    def test_nothing_to_export_is_an_empty_list(self, app: Flask) -> None:
        result = app.test_cli_runner().invoke(args=["export", "transactions", "--format", "json"])
        assert json.loads(result.output) == []

    def test_unknown_account_is_refused_in_one_line(self, app: Flask) -> None:
        result = app.test_cli_runner().invoke(args=["export", "transactions", "--account", "nobody"])
        assert result.exit_code == 1
        assert "no such account" in result.output

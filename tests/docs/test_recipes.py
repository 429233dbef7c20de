"""The recipes of docs/operations.md run as they stand, on a backup."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from services.ledger.debits import Spend, spend_credits
from services.ledger.grants import Incoming, grant_credits
from services.operations.backup import write_backup
from tests.conftest import make_account

ROOT = Path(__file__).resolve().parents[2]
RECIPES = re.findall(r"^```\n(sqlite-utils .*?)\n```", (ROOT / "docs/operations.md").read_text(), re.S | re.M)


@pytest.mark.parametrize("recipe", RECIPES, ids=range(len(RECIPES)))
def test_recipe_runs_on_a_backup(app: Flask, tmp_path: Path, recipe: str) -> None:
    account_id = make_account("northwind")
    grant_credits(
        Incoming(account_id=account_id, credit_type="credits", amount=70, source="bonus", actor="command")
    )
    spend_credits(Spend(account_id=account_id, credit_type="credits", amount=7, actor="key:1"))
    write_backup(tmp_path / "backup.sqlite")
    command = [sys.executable, "-m", *shlex.split(recipe.replace("sqlite-utils", "sqlite_utils", 1))]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    if "payments" not in recipe:
        assert "63" in answer.stdout


def test_there_are_recipes() -> None:
    assert len(RECIPES) == 3

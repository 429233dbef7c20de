"""catalog, stripe and webhooks on the command line: exit 0, or 1 with one line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from extensions import db
from models.accounts import Account
from models.catalog import Package
from tests.shop import CATALOGS, Shop, open_shop


@pytest.fixture
def shop(app: Flask, tmp_path: Path) -> Iterator[Shop]:
    with open_shop(app, tmp_path) as opened:
        yield opened


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=list(arguments))
    db.session.rollback()
    return result.exit_code, result.output


class TestCatalog:
    def test_load_list_export(self, app: Flask, tmp_path: Path) -> None:
        code, output = run(app, "catalog", "load", str(CATALOGS / "studio.toml"))
        assert (code, output) == (0, "studio: 2 plans, 4 packages, 0 archived\n")
        code, output = run(app, "catalog", "list", "--json")
        assert json.loads(output) == [
            {"code": "studio", "name": "Studio", "currency": "usd", "default": True, "plans": 2, "packages": 4}
        ]
        code, output = run(app, "catalog", "export", "studio")
        (tmp_path / "copy.toml").write_text(output)
        assert run(app, "catalog", "load", str(tmp_path / "copy.toml"))[0] == 0
        assert len(db.session.scalars(select(Package)).all()) == 4

    def test_one_line_says_what_is_wrong(self, app: Flask, tmp_path: Path) -> None:
        bad = tmp_path / "bad.toml"
        bad.write_text((CATALOGS / "studio.toml").read_text().replace("price_cents = 2000", "price_cents = -5"))
        code, output = run(app, "catalog", "load", str(bad))
        assert code == 1
        assert output == "Error: packages[2].price_cents: must be greater than 0\n"
        assert run(app, "catalog", "export", "none") == (1, "Error: There is no catalogue 'none'.\n")


class TestWebhooks:
    def test_list_and_replay(self, shop: Shop) -> None:
        started = shop.start()
        shop.pay(started.session_id)
        (event,) = shop.events("checkout.session.completed")
        shop.deliver(event)
        code, output = run(shop.app, "webhooks", "list", "--json")
        (row,) = json.loads(output)
        assert (code, row["id"], row["state"]) == (0, event["id"], "processed")
        assert run(shop.app, "webhooks", "replay", event["id"]) == (0, f"{event['id']}: processed\n")
        code, output = run(shop.app, "webhooks", "replay", "evt_none")
        assert (code, output) == (1, "Error: There is no event 'evt_none'.\n")

    def test_a_replay_that_fails_exits_1(self, shop: Shop) -> None:
        event = {"id": "evt_x", "type": "charge.refunded", "data": {"object": {"id": "ch_none"}}}
        shop.deliver(event)
        code, output = run(shop.app, "webhooks", "replay", "evt_x")
        assert code == 1 and "evt_x failed" in output


class TestStripe:
    def test_detach(self, shop: Shop) -> None:
        shop.start()
        code, output = run(shop.app, "stripe", "detach", "--yes")
        assert code == 0
        assert output.startswith("Detached: 1 customers, 0 prices,")
        assert output.endswith(" 1 orders, 0 events\n")
        assert db.session.get_one(Account, shop.account_id).stripe_customer_id is None


class TestJobs:
    def test_they_are_in_the_table_and_run(self, shop: Shop) -> None:
        shop.start()
        for name, words in (
            ("process-inbox", "nothing was due"), ("abandon-orders", "0 orders closed"),
            ("monthly-grants", "0 months granted"),
        ):  # fmt: skip
            code, output = run(shop.app, "jobs", "run", name)
            assert (code, output.startswith(f"{name}: {words}")) == (0, True), output

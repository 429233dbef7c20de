"""Who may import whom: the table in docs/architecture.md, held to."""

import re

from tests.house.source import calls, imports, imports_any, in_layer, product

# The one place each for what must have one place.
CLOCK = "services/clock.py"
COMMITS = "services/unit_of_work.py"
SQLITE = "sqlite_library.py"
# The sandbox speaks for Stripe with a clock that the product moves; it is no part of the product's layers.
OWN_CLOCKS = {CLOCK, "sandbox/store.py", "sandbox/webhooks.py"}
ASKS_FOR_TIME = re.compile(
    r"(?:^|\.)(?:datetime\.(?:now|utcnow|today)|date\.today|time\.(?:time|time_ns|localtime|gmtime))$"
)


def broken(found: dict[str, set[str]]) -> str:
    return "\n".join(f"{path}: {', '.join(sorted(names))}" for path, names in sorted(found.items()) if names)


def forbid(layer: str, *modules: str) -> str:
    return broken({path: imports_any(tree, *modules) for path, tree in in_layer(layer).items()})


PROTOCOLS = ("gateways.payments", "gateways.subscriptions", "gateways.invoices")

class TestLayers:
    def test_models_know_only_tables(self):
        assert not forbid(
            "models", "services", "flask", "blueprints", "gateways", "jobs", "commands", "stripe"
        )

    def test_services_know_neither_http_nor_stripe(self):
        assert not forbid(
            "services", "flask", "flask_login", "stripe", "blueprints", "commands", "jobs", "app"
        )

    def test_services_know_gateways_by_their_protocol_only(self):
        found = {
            path: {n for n in imports_any(tree, "gateways") if not n.startswith(PROTOCOLS)}
            - {"gateways"}
            for path, tree in in_layer("services").items()
        }
        assert not broken(found)

    def test_gateways_know_neither_rows_nor_services(self):
        assert not forbid(
            "gateways", "models", "services", "flask", "blueprints", "jobs", "commands", "extensions"
        )

    def test_blueprints_leave_stripe_and_the_session_alone(self):
        assert not forbid("blueprints", "stripe")
        found = {
            path: {f"{name} in line {line}" for name, line in calls(tree) if name.startswith("db.session")}
            for path, tree in in_layer("blueprints").items()
        }
        assert not broken(found)

    def test_blueprints_do_not_import_each_other(self):
        found = {}
        for path, tree in in_layer("blueprints").items():
            parts = path.split("/")
            own = parts[1] if len(parts) > 2 else None
            packages = {p.split("/")[1] for p in in_layer("blueprints") if p.count("/") > 1}
            if own is None:
                continue
            found[path] = {
                name
                for name in imports_any(tree, "blueprints")
                if len(name.split(".")) > 1 and name.split(".")[1] in packages - {own}
            }
        assert not broken(found)

    def test_jobs_call_services_only(self):
        assert not forbid("jobs", "sqlalchemy", "stripe", "models", "extensions", "blueprints", "commands")


class TestOnePlace:
    def test_stripe_is_imported_by_its_gateway_only(self):
        found = {
            path: imports_any(tree, "stripe")
            for path, tree in product().items()
            if not path.startswith("gateways/stripe_")
        }
        assert not broken(found)

    def test_sqlite_is_imported_in_one_place(self):
        found = {
            path: imports_any(tree, "sqlite3", "pysqlite3")
            for path, tree in product().items()
            if path != SQLITE
        }  # fmt: skip
        assert not broken(found)

    def test_only_the_clock_asks_for_the_time(self):
        found = {
            path: {f"{name} in line {line}" for name, line in calls(tree) if ASKS_FOR_TIME.search(name)}
            for path, tree in product().items()
            if path not in OWN_CLOCKS
        }
        assert not broken(found)
        asking = {
            path: {n for n in imports(tree) if n in ("time.time", "time.time_ns")}
            for path, tree in product().items()
        }
        assert not broken(asking)

    def test_only_the_unit_of_work_commits(self):
        found = {
            path: {f"line {line}" for name, line in calls(tree) if name.endswith("session.commit")}
            for path, tree in product().items()
            if path != COMMITS
        }
        assert not broken(found)

    def test_these_rules_see_what_breaks_them(self):
        import ast

        tree = ast.parse(
            "import stripe.error\nfrom flask import g\nfrom datetime import datetime as d\nimport datetime\n"
            "datetime.datetime.now()\ndb.session.commit()"
        )
        assert imports_any(tree, "stripe") == {"stripe.error"}
        assert imports_any(tree, "flask") == {"flask", "flask.g"}
        names = {name for name, _ in calls(tree)}
        assert any(ASKS_FOR_TIME.search(name) for name in names)
        assert any(name.endswith("session.commit") for name in names)

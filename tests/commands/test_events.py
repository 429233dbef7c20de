"""``flask events`` and ``flask endpoints``."""

import json
from typing import Any

from flask import Flask

from services.events.endpoints import disable_endpoint, list_endpoints, secrets_of
from services.events.numbering import number_events
from services.events.publishing import publish
from tests.conftest import make_account


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=[*arguments])
    return result.exit_code, result.output.strip()


def listed(app: Flask, *arguments: str) -> Any:
    code, output = run(app, *arguments, "--json")
    assert code == 0
    return json.loads(output)


def test_events_are_listed_in_their_order(app: Flask) -> None:
    for slug in ("acme", "other"):
        publish(make_account(slug), "payment.succeeded", "p", {"amount_cents": 5})
    number_events()
    assert [(e["sequence"], e["account"]) for e in listed(app, "events", "list")] == [
        (1, "acme"),
        (2, "other"),
    ]
    assert [e["sequence"] for e in listed(app, "events", "list", "--after", "1")] == [2]
    assert len(listed(app, "events", "list", "--account", "acme")) == 1
    assert listed(app, "events", "list", "--type", "credits.low") == []
    assert run(app, "events", "list")[1].splitlines()[0].startswith("1\t")
    assert run(app, "events", "list", "--account", "nobody")[0] == 1


def test_an_endpoint_is_made_listed_given_another_secret_and_enabled(app: Flask) -> None:
    account_id = make_account("acme")
    code, secret = run(
        app, "endpoints", "create", "https://example.com/hooks", "--account", "acme", "--types", "credits.low"
    )
    (made,) = list_endpoints()
    assert code == 0 and secrets_of(made.id) == [secret] and account_id
    (shown,) = listed(app, "endpoints", "list")
    assert (shown["account"], shown["types"], shown["enabled"]) == ("acme", ["credits.low"], True)
    assert secret not in json.dumps(shown)
    code, newer = run(app, "endpoints", "roll", made.public_id)
    assert code == 0 and secrets_of(made.id) == [newer, secret]
    disable_endpoint(made.public_id, "user:1")
    assert "disabled: By an operator." in run(app, "endpoints", "list")[1]
    assert run(app, "endpoints", "enable", made.public_id)[0] == 0
    assert list_endpoints()[0].is_enabled


def test_what_is_wrong_is_one_line(app: Flask) -> None:
    for arguments in (("create", "http://localhost/"), ("create", "https://127.0.0.1/"),
                      ("create", "https://example.com/", "--types", "x"),
                      ("create", "https://example.com/", "--account", "nobody"), ("roll", "ep_x"),
                      ("enable", "ep_x")):  # fmt: skip
        code, output = run(app, "endpoints", *arguments)
        assert code == 1 and output.startswith("Error: ") and "\n" not in output
    assert list_endpoints() == []

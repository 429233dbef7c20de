"""The Overview page beside the same template with canned rows, in process: what its queries cost."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, g, render_template, template_rendered
from werkzeug.test import Client

from bench.instance import instance
from bench.results import Report, Row
from bench.timing import in_turns, repeated
from blueprints.browser_session import cookie_name
from services.accounts.memberships import add_member
from services.accounts.sessions import open_session
from services.accounts.users import insert_user
from services.catalog.presets import load_preset
from services.unit_of_work import atomic

TITLE = "Pages"
PAGE, CANNED = "/home/bench/overview", "/bench/canned"
CATALOG = Path(__file__).resolve().parents[1] / "catalogs" / "devtools.toml"


def run(quick: bool = False) -> Report:
    """One page, with a handful of lots and the packages of a catalogue."""
    rounds, seconds = (2, 0.4) if quick else (7, 1.0)
    with instance(lots=8) as found:
        load_preset(CATALOG)
        app = found.app
        cookie = sign_in(app, found.account_id)
        context = _context_of(app, cookie)
        _add_canned_view(app, context)
        samples = in_turns(
            {"page": repeated(_reading(app, PAGE, cookie)), "canned": repeated(_reading(app, CANNED, cookie))},
            rounds, seconds,
        )  # fmt: skip
    page, canned = samples["page"].p50_ms, samples["canned"].p50_ms
    row = Row("Overview page, p50 in process", f"{page:.2f} ms", f"canned rows {canned:.2f} ms", page / canned,
              2.5, 1.5, at_most=True)  # fmt: skip
    return Report("pages", TITLE, [row])


def sign_in(app: Flask, account_id: int) -> str:
    """Make an owner of an account; the cookie of their browser."""
    with app.test_request_context():
        name = cookie_name()
    return f"{name}={_session_token(account_id)}"


@atomic
def _session_token(account_id: int) -> str:
    user_id = insert_user("bench@coffer.example", None, name="Ben Ch", actor="command")
    add_member(user_id, account_id, "owner", actor="command")
    return open_session(user_id, "127.0.0.1", "bench")


def _reading(app: Flask, path: str, cookie: str) -> Callable[[], None]:
    client = Client(app, use_cookies=False)
    headers = {"Cookie": cookie}

    def read() -> None:
        answer = client.get(path, headers=headers)
        assert answer.status_code == 200, (path, answer.status, answer.text[:500])

    return read


def _context_of(app: Flask, cookie: str) -> tuple[str, dict[str, Any], Any, Any]:
    """What the real page gives its template: name, rows, the shell and the account."""
    seen: list[tuple[str, dict[str, Any], Any, Any]] = []

    def keep(_sender: Flask, template: Any, context: dict[str, Any], **_more: Any) -> None:
        processors = itertools.chain.from_iterable(app.template_context_processors.values())
        given_anyway = {name for processor in processors for name in processor()}
        rows = {name: value for name, value in context.items() if name not in given_anyway}
        seen.append((template.name, rows, g.shell, g.account))

    with template_rendered.connected_to(keep, app):
        _reading(app, PAGE, cookie)()
    return seen[0]


def _add_canned_view(app: Flask, context: tuple[str, dict[str, Any], Any, Any]) -> None:
    """The same template with what was kept: a page that asks the database nothing."""
    name, rows, shell, account = context

    def canned() -> str:
        g.shell, g.account = shell, account
        return render_template(name, **rows)

    app._got_first_request = False  # a view of the benchmark's own may still be added
    app.add_url_rule(CANNED, view_func=canned)

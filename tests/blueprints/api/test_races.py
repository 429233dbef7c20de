"""Many at once over real HTTP: exactly what fits, and one key has one effect. On both databases."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest
from sqlalchemy import func, select
from werkzeug.serving import make_server

from extensions import db
from models.ledger import Transaction
from services.accounts.api_keys import mint
from services.ledger.balances import balance_of
from tests.blueprints.api.conftest import give
from tests.conftest import make_account

AT_ONCE = 64


@pytest.fixture
def port(either_app) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, either_app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def at_once(port, token, bodies, keys):
    """Send every request at the same moment; (status, body, headers) of each."""
    barrier = threading.Barrier(len(bodies))

    def send(body, key):
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.connect()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        barrier.wait()
        connection.request(
            "POST",
            "/api/credits/deduct",
            json.dumps(body),
            headers | ({"Idempotency-Key": key} if key else {}),
        )
        response = connection.getresponse()
        answer = response.status, response.read(), response.headers
        connection.close()
        return answer

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(send, bodies, keys))


def usage_lines(account_id):
    db.session.rollback()
    return db.session.scalar(
        select(func.count()).where(Transaction.account_id == account_id, Transaction.type == "usage")
    )


@pytest.fixture
def account_id(either_app):
    account_id = make_account()
    give(account_id, 100)
    return account_id


class TestRaces:
    @pytest.mark.parametrize("with_keys", [False, True])
    def test_64_deducts_spend_exactly_what_is_there(self, port, account_id, with_keys):
        token = mint(account_id, "command").token
        keys = [f"k-{n}" if with_keys else None for n in range(AT_ONCE)]
        answers = at_once(port, token, [{"amount": 7}] * AT_ONCE, keys)
        assert Counter(status for status, _, _ in answers) == {200: 14, 402: 50}
        assert {json.loads(b)["code"] for s, b, _ in answers if s == 402} == {"insufficient_credits"}
        assert usage_lines(account_id) == 14
        assert balance_of(account_id, "credits").balance == 2

    @pytest.mark.parametrize(("amount", "status", "left"), [(7, 200, 93), (101, 402, 100)])
    def test_64_twins_are_one(self, port, account_id, amount, status, left):
        token = mint(account_id, "command").token
        answers = at_once(port, token, [{"amount": amount}] * AT_ONCE, ["one"] * AT_ONCE)
        assert {(s, b) for s, b, _ in answers} == {(status, answers[0][1])}
        assert sum(1 for _, _, headers in answers if "Idempotent-Replayed" not in headers) == 1
        assert balance_of(account_id, "credits").balance == left
        assert usage_lines(account_id) == (1 if status == 200 else 0)

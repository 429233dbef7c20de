"""Planned trouble, the server's own limits, and how fast a call is."""

import http.client
import socket
import statistics
import threading
import time

import pytest
import requests
import stripe

from sandbox import SandboxServer
from sandbox.faults import Fault
from tests.sandbox.conftest import KEY, client_of, new_session


def customers(server: SandboxServer) -> int:
    """How many there are."""
    return len(list(server.store.all("customer")))


class TestFaults:
    @pytest.mark.parametrize("kind", ["reset", "effect_then_reset", "effect_then_timeout", "half_answer"])
    def test_cut_connection_is_a_connection_error(self, server, kind):
        server.faults.plan(Fault(kind, seconds=0.1))
        with pytest.raises(stripe.APIConnectionError):
            client_of(server.base_url, timeout=1).v1.customers.create({}, {"idempotency_key": "k"})
        assert customers(server) == (0 if kind == "reset" else 1)
        client_of(server.base_url).v1.customers.create({}, {"idempotency_key": "k"})
        assert customers(server) == 1

    def test_effect_without_an_answer_in_time(self, server):
        server.faults.plan(Fault("effect_then_timeout", seconds=1.0))
        with pytest.raises(stripe.APIConnectionError):
            client_of(server.base_url, timeout=0.3).v1.customers.create({})
        assert customers(server) == 1

    @pytest.mark.parametrize(("kind", "made"), [("500", 0), ("effect_then_500", 1)])
    def test_500_before_and_after_the_effect(self, server, client, kind, made):
        server.faults.plan(Fault(kind))
        with pytest.raises(stripe.APIError) as trouble:
            client.v1.customers.create({}, {"idempotency_key": "k"})
        assert trouble.value.http_status == 500
        assert customers(server) == made
        client.v1.customers.create({}, {"idempotency_key": "k"})
        assert customers(server) == 1

    def test_429_may_be_tried_again(self, server, client):
        server.faults.plan(Fault("429"))
        with pytest.raises(stripe.RateLimitError) as refusal:
            client.v1.customers.create({})
        assert refusal.value.headers["Stripe-Should-Retry"] == "true"
        assert customers(server) == 0

    def test_slow_answer_comes(self, server, client):
        server.faults.plan(Fault("slow", seconds=0.4))
        begun = time.monotonic()
        client.v1.customers.create({})
        assert 0.4 <= time.monotonic() - begun < 3

    def test_only_calls_that_match_and_only_so_many(self, server, client):
        server.faults.plan(Fault("500", times=2, method="GET", path="/v1/customers"))
        client.v1.customers.create({})
        client.v1.products.list()
        for _ in range(2):
            with pytest.raises(stripe.APIError):
                client.v1.customers.list()
        assert len(client.v1.customers.list().data) == 1
        server.faults.plan(Fault("500", times=99))
        server.faults.clear()
        client.v1.customers.create({})

    def test_refused_connections_until_it_is_back(self, server, client):
        client.v1.customers.create({})
        with server.refusing_connections():
            with pytest.raises(stripe.APIConnectionError):
                client.v1.customers.list()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", int(server.base_url.rsplit(":")[-1])), timeout=1)
        assert len(client_of(server.base_url).v1.customers.list().data) == 1

    def test_calls_are_refused_where_the_hook_says_so(self, serving):
        def hook(headers):
            return "A call while a unit of work is open." if headers.get("Coffer-Unit-Open") == "1" else None

        server = serving(refuse_when=hook)
        url, given = f"{server.base_url}/v1/customers", {"auth": (KEY, ""), "timeout": 5}
        refused = requests.post(url, headers={"Coffer-Unit-Open": "1"}, **given)
        assert (refused.status_code, refused.json()["error"]["type"]) == (500, "api_error")
        assert "unit of work" in refused.json()["error"]["message"]
        assert customers(server) == 0
        assert requests.post(url, **given).status_code == 200


class TestServer:
    def test_connection_stays_open(self, server):
        connection = http.client.HTTPConnection(server.base_url.removeprefix("http://"), timeout=5)
        sockets = set()
        for number in range(3):
            headers = {"Authorization": f"Bearer {KEY}"}
            connection.request("POST", "/v1/customers", body=f"name={number}", headers=headers)
            answer = connection.getresponse()
            assert (answer.status, answer.read()[:1]) == (200, b"{")
            sockets.add(connection.sock)
        connection.close()
        assert len(sockets) == 1 and None not in sockets

    @pytest.mark.parametrize(
        "headers", ["Content-Length: 9000000", "Content-Length: many", "Transfer-Encoding: chunked"]
    )
    def test_odd_lengths_are_refused(self, server, headers):
        port = int(server.base_url.rsplit(":")[-1])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"POST /v1/customers HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n".encode())
            assert connection.recv(100).split()[1] in (b"411", b"413")
        assert customers(server) == 0

    def test_many_callers_at_once(self, server):
        def create() -> None:
            client = client_of(server.base_url)
            for _ in range(5):
                client.v1.customers.create({})

        threads = [threading.Thread(target=create) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert customers(server) == 40

    def test_a_bug_of_ours_is_an_error_of_stripes(self, server, client, monkeypatch):
        monkeypatch.setattr("sandbox.api.decode", lambda text: 1 / 0)
        with pytest.raises(stripe.APIError) as trouble:
            client.v1.customers.create({})
        assert trouble.value.http_status == 500

    def test_state_survives_a_restart(self, serving, tmp_path):
        first = serving(path=tmp_path / "kept.sqlite")
        made = new_session(client_of(first.base_url))
        second = serving(path=tmp_path / "kept.sqlite")
        assert client_of(second.base_url).v1.checkout.sessions.retrieve(made.id).status == "open"

    def test_a_call_takes_a_few_milliseconds(self, server, client):
        for _ in range(300):
            server.store.put(server.store.new("customer", "cus", name="old", deleted=None))
        seconds = []
        for _ in range(40):
            begun = time.perf_counter()
            client.v1.customers.list({"limit": 1})
            seconds.append(time.perf_counter() - begun)
        assert statistics.median(seconds) < 0.03


def test_from_the_command_line():
    import subprocess
    import sys

    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port", "0", "--key", KEY], stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline()
        base_url = next(word for word in line.split() if word.startswith("http"))
        assert client_of(base_url).v1.customers.create({}).id.startswith("cus_")
    finally:
        process.terminate()
        process.communicate(timeout=10)

"""Webhooks reach no private network, follow nothing, and wait for nobody."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from errors import InvalidRequest
from gateways import webhook_sender
from gateways.webhook_sender import Answer, WebhookSender, is_public
from tests.receiver import Receiver, receiver

PRIVATE = (
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1",
    "fe80::1%lo", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
    "2002:7f00:1::", "2001::1", "2001:db8::1", "100::1",
)  # fmt: skip
SPELLINGS = (
    "https://127.0.0.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/",
    "https://0/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/",
    "https://169.254.169.254/latest/meta-data", "https://[fd00::1]:8443/", "https://10.0.0.1:8080/x",
)  # fmt: skip
MALFORMED = (
    "", "example.com", "ftp://example.com/", "http://example.com/", "https://", "https:///x",
    "https://user:secret@example.com/", "https://user@example.com/", "https://example.com/#part",
    "https://example.com:99999/", "https://example.com:0/", "https://exa mple.com/", "https://example.com/\n",
    "https://example.com\\@127.0.0.1/", "https://[::1/", "javascript:alert(1)", f"https://{'a' * 70}ü.com/",
    "https://example.com/" + "a" * 2000,
)  # fmt: skip


@pytest.fixture
def box() -> Iterator[Receiver]:
    with receiver() as opened:
        yield opened


@pytest.fixture
def open_sender() -> WebhookSender:
    return WebhookSender(allows_private=True)


def send(sender: WebhookSender, url: str) -> Answer:
    return sender.send(url, {"Content-Type": "application/json"}, b"{}")


class TestWhereTheyMayGo:
    @pytest.mark.parametrize("address", PRIVATE)
    def test_private_addresses(self, address: str) -> None:
        assert not is_public(address)

    @pytest.mark.parametrize(
        "address", ["93.184.215.14", "2606:2800:21f::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
    )
    def test_public_addresses(self, address: str) -> None:
        assert is_public(address)

    @pytest.mark.parametrize("url", [*SPELLINGS, *MALFORMED])
    def test_what_is_refused_at_once(self, url: str) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            WebhookSender().check_url(url)
        assert refusal.value.errors[0].field == "url"
        assert send(WebhookSender(), url).status_code is None

    @pytest.mark.parametrize(
        "url", ["https://example.com/hooks?a=1", "https://bücher.example/", "https://8.8.8.8/"]
    )
    def test_what_is_fine(self, url: str) -> None:
        WebhookSender().check_url(url)

    def test_a_name_that_leads_home(self, box: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        answers_with(monkeypatch, "127.0.0.1")
        answer = send(WebhookSender(), "https://looks-fine.example/")
        assert answer.error == "leads to a private address, which is not allowed here" and not box.came

    def test_one_private_address_of_several_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers_with(monkeypatch, "93.184.215.14", "10.0.0.7")
        assert "private" in str(send(WebhookSender(), "https://two.example/").error)

    def test_the_name_is_asked_once_and_the_checked_address_is_used(
        self, box: Receiver, open_sender: WebhookSender, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        port = int(box.url.split(":")[2].split("/")[0])

        def rebinding(host: str, *_: Any, **__: Any) -> list[Any]:
            asked.append(host)
            where = "127.0.0.1" if len(asked) == 1 else "192.0.2.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (where, port))]

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        answer = send(open_sender, f"http://rebinding.example:{port}/hook")
        assert (answer.status_code, asked) == (200, ["rebinding.example"])
        assert box.came[0][0]["host"] == f"rebinding.example:{port}"

    def test_a_name_that_never_resolves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhook_sender, "RESOLVE_SECONDS", 0.1)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(0.5))
        assert send(WebhookSender(), "https://slow.example/").error == "The name was not resolved in time"


class TestWhatComesBack:
    def test_an_answer(self, box: Receiver, open_sender: WebhookSender) -> None:
        box.status, box.headers = 503, {"Retry-After": "120"}
        box.body = b"\x00 not now \xff" + b"x" * 5000
        answer = send(open_sender, box.url)
        assert (answer.status_code, answer.error, answer.retry_after_seconds) == (503, "Answered 503", 120)
        assert answer.response.startswith("\N{REPLACEMENT CHARACTER} not now") and len(answer.response) == 500

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirects_are_not_followed(self, box: Receiver, open_sender: WebhookSender, status: int) -> None:
        with receiver() as elsewhere:
            box.status, box.headers = status, {"Location": elsewhere.url}
            answer = send(open_sender, box.url)
            assert (answer.status_code, len(elsewhere.came)) == (status, 0)
            assert "redirects are not followed" in str(answer.error)

    def test_nobody_there(self, open_sender: WebhookSender) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        assert "ConnectionRefused" in str(send(open_sender, f"http://127.0.0.1:{port}/").error)

    @pytest.mark.parametrize(
        ("first", "then"),
        [
            (b"", b"H"),
            (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx", b"x"),
        ],
    )
    def test_who_drips_is_cut_off(
        self, open_sender: WebhookSender, monkeypatch: pytest.MonkeyPatch, first: bytes, then: bytes
    ) -> None:
        monkeypatch.setattr(webhook_sender, "TOTAL_SECONDS", 0.6)
        started = time.monotonic()
        with raw_server(first, then, 0.2) as url:
            assert send(open_sender, url).error == "No answer in time"
        assert time.monotonic() - started < 2

    def test_who_never_ends_is_cut_off(self, open_sender: WebhookSender) -> None:
        with raw_server(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 1000 + b"\r\n", 0) as url:
            assert send(open_sender, url).status_code is None

    @pytest.mark.parametrize("answer", [b"hello\r\n\r\n", b"HTTP/1.1 999999 X\r\n\r\n", b"\x00\xff\r\n\r\n"])
    def test_nonsense(self, open_sender: WebhookSender, answer: bytes) -> None:
        with raw_server(answer, b"", None) as url:
            assert send(open_sender, url).status_code is None


def answers_with(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@contextmanager
def raw_server(first: bytes, then: bytes, pause_seconds: float | None) -> Iterator[str]:
    """Sends some bytes, and then others again and again until nobody listens; a pause of None: it hangs up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(first)
                while pause_seconds is not None:
                    time.sleep(pause_seconds)
                    connection.sendall(then)
            except OSError:
                pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    finally:
        server.close()
        thread.join(5)

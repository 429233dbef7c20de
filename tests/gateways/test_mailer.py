"""Mail by SMTP, against a small server of our own."""

import smtplib
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default

import pytest

from gateways import mailer
from gateways.mailer import Mail, Mailer, server_of

MAIL = Mail("bob@example.com", "You are\ninvited", "Open http://x/cot_1\n", "<p>Open</p>")


@dataclass
class Inbox:
    """What arrived, and how many connections to drop first."""

    messages: list[bytes] = field(default_factory=list)
    drops: int = 0
    connections: int = 0
    port: int = 0


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    box = Inbox()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            box.connections += 1
            if box.connections <= box.drops:
                return
            self.wfile.write(b"220 ready\r\n")
            for line in self.rfile:
                verb = line.split()[0].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = []
                    while (part := self.rfile.readline()) != b".\r\n":
                        lines.append(part)
                    box.messages.append(b"".join(lines))
                    self.wfile.write(b"250 kept\r\n")
                elif verb == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 fine\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        box.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield box
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailer, "RETRY_AFTER_SECONDS", 0.01)


class TestMailer:
    def test_a_mail_arrives_in_both_forms(self, inbox: Inbox) -> None:
        sender = Mailer(f"smtp://127.0.0.1:{inbox.port}", "Coffer <coffer@example.com>")
        sent = sender.send(MAIL)
        assert sent is not None and sent.result(10) is True
        sender.close()
        message = message_from_bytes(inbox.messages[0], policy=default)
        assert (message["To"], message["Subject"]) == ("bob@example.com", "You are invited")
        assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]

    def test_a_dropped_connection_is_tried_once_more(self, inbox: Inbox) -> None:
        inbox.drops = 1
        sender = Mailer(f"smtp://127.0.0.1:{inbox.port}", "coffer@example.com")
        assert sender.send(MAIL).result(10) is True
        sender.close()
        assert (inbox.connections, len(inbox.messages)) == (2, 1)

    def test_after_two_failures_it_gives_up_and_says_so(
        self, inbox: Inbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        inbox.drops = 9
        sender = Mailer(f"smtp://127.0.0.1:{inbox.port}", "coffer@example.com")
        assert sender.send(MAIL).result(10) is False
        sender.close()
        assert inbox.connections == 2 and "could not be sent" in caplog.text

    def test_sending_waits_for_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            monkeypatch.setattr(mailer, "TIMEOUT_SECONDS", 0.2)
            sender = Mailer(f"smtp://127.0.0.1:{silent.getsockname()[1]}", "coffer@example.com")
            sent = sender.send(MAIL)
            assert sent is not None and not sent.done()
            assert sent.result(10) is False
            sender.close()

    def test_a_password_is_not_sent_in_the_clear(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Plain(smtplib.SMTP):
            def __init__(self, *_args: object, **_options: object):
                super().__init__()

            def ehlo(self, name: str = "") -> tuple[int, bytes]:
                return 250, b"fine"

            def login(self, *_args: object, **_options: object) -> tuple[int, bytes]:
                raise AssertionError("the password was sent")

        monkeypatch.setattr(mailer.smtplib, "SMTP", Plain)
        sender = Mailer("smtp://me:secret@mail.example.com", "coffer@example.com")
        assert sender.send(MAIL).result(10) is False
        sender.close()
        assert "no TLS" in caplog.text and "secret" not in caplog.text

    def test_without_a_server_it_is_in_the_log_in_full(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        assert Mailer("", "coffer@example.com").send(MAIL) is None
        assert "bob@example.com" in caplog.text and "http://x/cot_1" in caplog.text


class TestServerOf:
    def test_the_address_says_everything(self) -> None:
        server = server_of("smtps://me%40x:p%3Aw@mail.example.com")
        assert server is not None
        assert (server.host, server.port, server.is_tls) == ("mail.example.com", 465, True)
        assert (server.username, server.password) == ("me@x", "p:w")

    @pytest.mark.parametrize(
        "address", ["mail.example.com", "http://mail.example.com", "smtp://", "smtp://x:99999"]
    )
    def test_a_malformed_one_is_refused(self, address: str) -> None:
        with pytest.raises(ValueError):
            server_of(address)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (smtplib.SMTPRecipientsRefused({"a@b.example": (450, b"later")}), "temporary"),
        (smtplib.SMTPRecipientsRefused({"a@b.example": (550, b"nobody")}), "permanent"),
        (smtplib.SMTPAuthenticationError(535, b"wrong"), "temporary"),
        (smtplib.SMTPDataError(554, b"no"), "permanent"),
        (ConnectionRefusedError(), "temporary"),
    ],
)
def test_what_may_work_later_is_told_from_what_never_will(
    monkeypatch: pytest.MonkeyPatch, error: Exception, outcome: str
) -> None:
    sender = Mailer("smtp://127.0.0.1:1", "a@b.example")

    def refuse(message: object) -> None:
        raise error

    monkeypatch.setattr(sender, "_transmit", refuse)
    assert sender.deliver(MAIL)[0] == outcome

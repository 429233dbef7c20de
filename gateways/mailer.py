"""Mail by SMTP, from a thread of its own: no page waits for a mail server, and no unit of work is open.

Without a server each mail is written to the log in full, so that a new instance works at once.
"""

import logging
import smtplib
import ssl
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

log = logging.getLogger("coffer.mail")

TIMEOUT_SECONDS = 15
RETRY_AFTER_SECONDS = 3.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail, rendered."""

    to: str
    subject: str
    text: str
    html: str
    unsubscribe_url: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server as its address names it."""

    host: str
    port: int
    is_tls: bool
    username: str
    password: str


def server_of(smtp_url: str) -> Server | None:
    """The server of an address; None for an empty one. Raises ValueError where it is malformed."""
    if not smtp_url:
        return None
    parts = urlsplit(smtp_url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("must look like smtp://user:password@host:port or smtps://…")
    is_tls = parts.scheme == "smtps"
    return Server(
        host=parts.hostname,
        port=parts.port or (465 if is_tls else 587 if parts.username else 25),
        is_tls=is_tls,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


class Mailer:
    """Sends mail in the background; a failure is logged, never raised."""

    def __init__(self, smtp_url: str, sender: str):
        self._server = server_of(smtp_url)
        self._sender = sender
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")

    def send(self, mail: Mail) -> "Future[bool] | None":
        """Hand a mail over; the future tells whether it went out. None: it was written to the log."""
        if self._server is None:
            log.info("Mail to %s\nSubject: %s\n\n%s", mail.to, mail.subject, mail.text)
            return None
        return self._threads.submit(self._deliver, mail)

    def deliver(self, mail: Mail) -> tuple[str, str | None]:
        """Send a mail now: sent, temporary or permanent, and the error. For whoever tries again later."""
        if self._server is None:
            log.info("Mail to %s\nSubject: %s\n\n%s", mail.to, mail.subject, mail.text)
            return "sent", None
        try:
            self._transmit(_message(mail, self._sender))
        except smtplib.SMTPRecipientsRefused as error:
            is_final = all(500 <= code < 600 for code, _ in error.recipients.values())
            return ("permanent" if is_final else "temporary"), f"{type(error).__name__}: {error}"
        except smtplib.SMTPAuthenticationError as error:  # a wrong setting, which somebody may mend
            return "temporary", f"{error.smtp_code} {error.smtp_error!r}"
        except ValueError as error:
            return "permanent", f"{type(error).__name__}: {error}"
        except smtplib.SMTPResponseException as error:
            kind = "permanent" if 500 <= error.smtp_code < 600 else "temporary"
            return kind, f"{error.smtp_code} {error.smtp_error!r}"
        except (OSError, smtplib.SMTPException) as error:
            return "temporary", f"{type(error).__name__}: {error}"
        return "sent", None

    def close(self) -> None:
        """Wait for what is under way and stop."""
        self._threads.shutdown(wait=True)

    def _deliver(self, mail: Mail) -> bool:
        for is_last in (False, True):
            try:
                self._transmit(_message(mail, self._sender))
                return True
            except (OSError, smtplib.SMTPException, ValueError) as error:
                if is_last or isinstance(error, smtplib.SMTPRecipientsRefused | ValueError):
                    log.error("A mail could not be sent: %s: %s", type(error).__name__, error)
                    return False
                time.sleep(RETRY_AFTER_SECONDS)
        return False

    def _transmit(self, message: EmailMessage) -> None:
        server = self._server
        assert server is not None
        context = ssl.create_default_context()
        if server.is_tls:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            client = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
        with client:
            client.ehlo()
            is_private = server.is_tls or server.host in LOOPBACK
            if not server.is_tls and client.has_extn("starttls"):
                client.starttls(context=context)
                client.ehlo()
                is_private = True
            if server.username:
                if not is_private:
                    raise ValueError("the server offers no TLS, so the password is not sent to it")
                client.login(server.username, server.password)
            client.send_message(message)


def _message(mail: Mail, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = " ".join(mail.subject.split())
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].strip("> ") or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    if mail.unsubscribe_url:
        message["List-Unsubscribe"] = f"<{mail.unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message

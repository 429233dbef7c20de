"""Events over HTTP to addresses that somebody else has named: no private network, no redirect, no waiting.

The name is resolved once, every address of it is checked, and the connection goes to the one that was checked:
a name that answers differently the second time leads nowhere. Source: docs/webhooks.md, where they may go.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLong
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from errors import InvalidRequest

RESOLVE_SECONDS = 4.0
TOTAL_SECONDS = 10.0
MOST_READ_BYTES = 32_768
EXCERPT_CHARACTERS = 500
LONGEST_URL = 2_000
ADDRESSES_TRIED = 3
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = tuple[int, Any]


class Refused(Exception):
    """The address is not one that events are sent to; says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said. ``status_code`` None: nothing was understood, and ``error`` says why."""

    status_code: int | None
    error: str | None
    duration_ms: int
    response: str = ""
    retry_after_seconds: int | None = None


class WebhookSender:
    """Sends events. ``allows_private``: addresses of private networks and plain HTTP too."""

    def __init__(self, *, allows_private: bool = False, tls: ssl.SSLContext | None = None):
        self.allows_private = allows_private
        self._tls = tls
        self._resolvers = ThreadPoolExecutor(4, thread_name_prefix="webhook-names")

    def check_url(self, url: str) -> None:
        """Refuse what can be seen to lead nowhere good without asking the network. Raises InvalidRequest."""
        try:
            parts = self._parts(url)
            self._numeric_addresses(parts.hostname or "", _port(parts))
        except Refused as refusal:
            raise InvalidRequest.of("url", str(refusal)) from None

    def send(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """POST a body and read the beginning of the answer, within ten seconds in all. Never raises."""
        started = time.monotonic()
        try:
            status, excerpt, retry_after = self._post(url, headers, body, started + TOTAL_SECONDS)
        except Refused as refusal:
            return Answer(None, str(refusal), _since(started))
        except (OSError, ssl.SSLError, http.client.HTTPException, ValueError) as problem:
            return Answer(None, _words(problem), _since(started))
        error = None if 200 <= status < 300 else f"Answered {status}"
        if 300 <= status < 400:
            error = f"Answered {status}: redirects are not followed"
        return Answer(status, error, _since(started), excerpt, retry_after)

    def _post(
        self, url: str, headers: dict[str, str], body: bytes, deadline: float
    ) -> tuple[int, str, int | None]:
        parts = self._parts(url)
        host, port = _ascii(parts.hostname or ""), _port(parts)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with _connected(self._addresses(host, port), deadline) as plain:
            secured = self._secured(plain, host) if parts.scheme == "https" else plain
            connection = http.client.HTTPConnection(host, port)
            connection.sock = _Timed(secured, deadline)  # type: ignore[assignment]
            try:
                connection.request("POST", target, body, {"Host": _host_header(parts, host), **headers})
                answer = connection.getresponse()
                excerpt = answer.read(4 * EXCERPT_CHARACTERS).decode("utf-8", "replace")
            finally:
                connection.close()
                secured.close()
        wait = answer.headers.get("Retry-After", "")
        return answer.status, _plain(excerpt), int(wait) if wait.isdecimal() and len(wait) < 7 else None

    def _parts(self, url: str) -> SplitResult:
        if len(url) > LONGEST_URL or not url.isprintable() or " " in url or "\\" in url:
            raise Refused("must be an address such as https://example.com/hooks")
        try:
            parts = urlsplit(url)
            if parts.port == 0:
                raise ValueError
        except ValueError:
            raise Refused("must be an address such as https://example.com/hooks") from None
        schemes = ("https", "http") if self.allows_private else ("https",)
        if parts.scheme not in schemes or not parts.hostname:
            raise Refused("must begin with https://")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise Refused("must have neither a user, a password nor a fragment")
        _ascii(parts.hostname)
        return parts

    def _numeric_addresses(self, host: str, port: int) -> list[Address]:
        """The addresses of a host written in numbers, in any of their spellings; none for a name."""
        try:
            return self._checked(_looked_up(_ascii(host), port, socket.AI_NUMERICHOST))
        except socket.gaierror:
            return []

    def _addresses(self, host: str, port: int) -> list[Address]:
        lookup = self._resolvers.submit(_looked_up, host, port)
        try:
            found = lookup.result(RESOLVE_SECONDS)
        except TooLong:
            raise Refused("The name was not resolved in time") from None
        except (socket.gaierror, UnicodeError):
            raise Refused("The name does not resolve") from None
        return self._checked(found)

    def _checked(self, found: list[Address]) -> list[Address]:
        """All of them, or none: a name with one private address is not sent to at all."""
        if not self.allows_private:
            for _family, where in found:
                if not is_public(where[0]):
                    raise Refused("leads to a private address, which is not allowed here")
        return found[:ADDRESSES_TRIED]

    def _secured(self, plain: socket.socket, host: str) -> ssl.SSLSocket:
        context = self._tls or ssl.create_default_context()
        return context.wrap_socket(plain, server_hostname=host)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet; addresses within addresses are looked into."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip not in GLOBAL_UNICAST or ip.teredo is not None:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _looked_up(host: str, port: int, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=flags)
    return [(family, where) for family, _type, _proto, _name, where in found]


def _connected(addresses: list[Address], deadline: float) -> socket.socket:
    problem: OSError = OSError("no address")
    for family, where in addresses:
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(_left(deadline))
            plain.connect(where)
            return plain
        except OSError as error:
            plain.close()
            problem = error
    raise problem


class _Timed:
    """A socket whose every step ends by one deadline, and which gives so many bytes at most."""

    def __init__(self, inner: socket.socket, deadline: float):
        self._inner, self._deadline = inner, deadline

    def sendall(self, data: bytes) -> None:
        """All of it by the deadline. Raises TimeoutError."""
        self._inner.settimeout(_left(self._deadline))
        self._inner.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What comes back."""
        return io.BufferedReader(_TimedReader(self._inner, self._deadline))

    def close(self) -> None:
        """Whoever made the inner socket closes it."""


class _TimedReader(io.RawIOBase):
    def __init__(self, inner: socket.socket, deadline: float):
        self._inner, self._deadline, self._left_bytes = inner, deadline, MOST_READ_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left_bytes <= 0:
            raise http.client.HTTPException("the answer is too long")
        self._inner.settimeout(_left(self._deadline))
        count = self._inner.recv_into(buffer, min(len(buffer), self._left_bytes))
        self._left_bytes -= count
        return count


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _host_header(parts: SplitResult, host: str) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if parts.port is None else f"{name}:{parts.port}"


def _ascii(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise Refused("is no name of a server") from None


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _plain(text: str) -> str:
    """Text that a page and every database can hold."""
    kept = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return kept[:EXCERPT_CHARACTERS]


def _words(problem: Exception) -> str:
    if isinstance(problem, TimeoutError):
        return "No answer in time"
    return _plain(f"{type(problem).__name__}: {problem}")[:300]

"""Request ids, and a log in which no secret appears."""

import logging
import re
import secrets
import sys

from flask import Flask, Response, g, has_request_context, request

from config import Settings

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_SECRETS = re.compile(
    r"\b(?:cof|cos|cot)_[A-Za-z0-9_-]{16,}"
    r"|\b(?:sk|rk|pk)_(?:test|live)_[A-Za-z0-9_]{6,}"
    r"|\bwhsec_[A-Za-z0-9_+/=-]{6,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|(?<=[Bb]earer )[^\s\"',]{6,}"
    r"|(?<=[Bb]asic )[^\s\"',]{6,}"
    r"|(?<=://)[^\s/:@]+:[^\s/@]+(?=@)"
    r"|(?<=password=)[^\s&\"',]+"
    r"|(?<=token=)[^\s&\"',]+"
)
# Their very purpose is to hand a link to whoever reads the log.
_SPOKEN_IN_FULL = ("coffer.mail", "coffer.links")


def redacted(text: str) -> str:
    """A text without keys, tokens and passwords."""
    return _SECRETS.sub("[redacted]", text)


class LogFormatter(logging.Formatter):
    """Time, level, request id, logger, message; secrets are cut from all of it, tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = g.get("request_id", "-") if has_request_context() else "-"
        text = super().format(record)
        return text if record.name.startswith(_SPOKEN_IN_FULL) else redacted(text)


def configure_logging(settings: Settings) -> None:
    """Send the log of this process to standard error. Idempotent."""
    root = logging.getLogger()
    root.setLevel(settings.log_level)
    if any(isinstance(handler.formatter, LogFormatter) for handler in root.handlers):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter("%(asctime)s %(levelname)s [%(request_id)s] %(name)s: %(message)s"))
    root.addHandler(handler)


def register(app: Flask) -> None:
    """Give each request an id, which its answer and its log lines carry."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    told = request.headers.get("X-Request-Id", "")
    g.request_id = told if _REQUEST_ID.fullmatch(told) else secrets.token_hex(8)


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id") or secrets.token_hex(8)
    return response

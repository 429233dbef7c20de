"""A tiny language for ledger stories: dated lines of what happens, and of what must then be so.

    2026-01-31 grant 1000 subscription expires 30d
    2026-01-31 spend 200 as first
    2026-02-01 balance 800

A date may carry a time (``2026-01-31T12:00``). Words after the amount are options: ``as NAME`` remembers,
``expires 30d``, ``for 10m``, ``priority 5``, ``refused CODE``. ``#`` begins a comment.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Event:
    """One line of a story."""

    number: int
    at: datetime
    verb: str
    words: list[str]
    options: dict[str, str]


OPTIONS = ("as", "expires", "for", "priority", "refused", "of", "to", "held", "subscription-part")


def read(story: str) -> list[Event]:
    """The events of a story. Raises ValueError for a line that cannot be read or goes back in time."""
    events: list[Event] = []
    for number, line in enumerate(story.splitlines(), 1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        date, verb, *rest = text.split()
        at = datetime.fromisoformat(date).replace(tzinfo=UTC)
        if events and at < events[-1].at:
            raise ValueError(f"line {number} goes back in time")
        words, options = [], {}
        while rest:
            word = rest.pop(0)
            if word in OPTIONS:
                if not rest:
                    raise ValueError(f"line {number}: {word} needs a value")
                options[word] = rest.pop(0)
            else:
                words.append(word)
        events.append(Event(number, at, verb, words, options))
    return events


def amount(word: str) -> int:
    """``1,000`` as a number."""
    if not re.fullmatch(r"\d{1,3}(,\d{3})*|\d+", word):
        raise ValueError(f"{word} is no amount")
    return int(word.replace(",", ""))


def span(word: str) -> timedelta:
    """``30d``, ``12h`` or ``10m`` as a duration."""
    match = re.fullmatch(r"(\d+)([mhd])", word)
    if match is None:
        raise ValueError(f"{word} is no duration")
    return timedelta(**{UNITS[match[2]]: int(match[1])})

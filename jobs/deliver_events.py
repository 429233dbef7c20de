"""deliver-events: what happened gets its place in the published order and is sent to whoever wants it."""

from flask import Flask

from services.events.journal import publish_journal
from services.events.numbering import number_events


def run(app: Flask) -> str:
    """Read the journal on, number what waits, send what is due."""
    publish_journal()
    return f"{number_events()} events"

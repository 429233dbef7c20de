"""deliver-events: what happened gets its place in the published order and is sent to whoever wants it."""

from flask import Flask

from services.events.deliveries import deliver_due
from services.events.journal import publish_journal
from services.events.numbering import number_events


def run(app: Flask) -> str:
    """Read the journal on, number what waits, send what is due."""
    publish_journal()
    events = number_events()
    sent = deliver_due(app.extensions["webhook_sender"].send)
    deliveries = ", ".join(f"{count} {outcome}" for outcome, count in sorted(sent.items())) or "no delivery"
    return f"{events} events; {deliveries}"

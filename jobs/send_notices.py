"""send-notices: tells of low balances, credits about to expire and receipts, and sends the mails that wait."""

from flask import Flask

from services.notices.sweeps import sweep_all


def run(app: Flask) -> str:
    """Look, then send."""
    told = sweep_all()
    sent = app.extensions["send_queued_mails"]()
    mails = ", ".join(f"{count} {outcome}" for outcome, count in sorted(sent.items())) or "no mail"
    return f"{told} notices; {mails}"

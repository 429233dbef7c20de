"""prune: rows that only pile up are dropped."""

from flask import Flask

from services.operations.prune import prune_all


def run(app: Flask) -> str:
    """Prune all there is to prune."""
    dropped = {what: count for what, count in prune_all().items() if count}
    return ", ".join(f"{count} {what}" for what, count in dropped.items()) or "nothing to drop"

"""Fixtures of the stories."""

from tests.services.ledger.conftest import clock

__all__ = ["clock"]

"""Webhooks: signed as Stripe signs them, delivered by a thread, tried again until they are taken."""

import hashlib
import hmac
import json
import random
import threading
import time
from dataclasses import dataclass

import requests

from sandbox.api import _public
from sandbox.store import Store

BACKOFF_SECONDS = (1, 5, 30, 120, 600, 3600)
MOST_ATTEMPTS = 16


@dataclass(slots=True)
class DeliveryOptions:
    """How tests want deliveries: not by themselves, several times, late, in another order."""

    automatic: bool = True
    copies: int = 1
    delay_seconds: float = 0.0
    shuffle_seed: int | None = None


def signature(secret: str, payload: bytes, at: int | None = None) -> str:
    """The Stripe-Signature header of a payload, made now by the real clock."""
    moment = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + payload, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


class Deliverer:
    """Takes events from the store to one endpoint."""

    def __init__(self, store: Store, url: str, secret: str, options: DeliveryOptions | None = None):
        self.store = store
        self.url = url
        self.secret = secret
        self.options = options or DeliveryOptions()
        self._wake = threading.Event()
        self._stop = False
        self._thread: threading.Thread | None = None
        store.on_event = self._wake.set

    def start(self) -> None:
        """Deliver in the background."""
        self._thread = threading.Thread(target=self._loop, name="sandbox-webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop = True
        self._wake.set()
        if self._thread:
            self._thread.join(timeout=5)

    def deliver_pending(self) -> int:
        """Deliver what is due and return how many deliveries were taken."""
        rows = self.store.query(
            "SELECT number, event_id, attempts FROM deliveries WHERE state = 'pending' AND next_at <= ? "
            "ORDER BY number",
            time.time(),
        )
        if self.options.shuffle_seed is not None:
            random.Random(self.options.shuffle_seed).shuffle(rows)
        return sum(self._deliver(number, event_id, attempts) for number, event_id, attempts in rows)

    def _deliver(self, number: int, event_id: str, attempts: int) -> bool:
        payload = json.dumps(_public(self.store.get("event", event_id))).encode()
        taken = all(self._post(payload) for _ in range(self.options.copies))
        if taken:
            state, next_at = "taken", 0.0
        else:
            state = "pending" if attempts + 1 < MOST_ATTEMPTS else "given_up"
            next_at = time.time() + BACKOFF_SECONDS[min(attempts, len(BACKOFF_SECONDS) - 1)]
        self.store.query(
            "UPDATE deliveries SET state = ?, attempts = attempts + 1, next_at = ? WHERE number = ?",
            state, next_at, number,
        )  # fmt: skip
        return taken

    def _post(self, payload: bytes) -> bool:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(self.secret, payload),
            "User-Agent": "Stripe/1.0 (Coffer sandbox)",
        }
        try:
            answer = requests.post(self.url, data=payload, headers=headers, timeout=10, allow_redirects=False)
        except requests.RequestException:
            return False
        return 200 <= answer.status_code < 300

    def _loop(self) -> None:
        while not self._stop:
            self._wake.wait(timeout=1.0)
            self._wake.clear()
            if self._stop or not self.options.automatic:
                continue
            if self.options.delay_seconds:
                time.sleep(self.options.delay_seconds)
            self.deliver_pending()

"""Webhooks: signed as Stripe signs them, delivered by a thread, tried again until they are taken."""

import hashlib
import hmac
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from sandbox.rendering import public
from sandbox.store import Object, Store

logger = logging.getLogger("coffer.sandbox")
# As Stripe: sooner at first, for about three days.
BACKOFF_SECONDS = (1, 5, 30, 120, 600, 3600)
MOST_ATTEMPTS = 76
LOOK_SECONDS = 1.0
# Takes an event's payload and the Stripe-Signature header that goes with it; False: try again later.
Take = Callable[[bytes, str], bool]


@dataclass(slots=True)
class DeliveryOptions:
    """How tests want deliveries.

    ``automatic``: by a thread; else only by ``deliver_pending`` and ``deliver``. ``copies``: how often each
    event is sent. ``ids_per_fact``: under how many event ids each fact is told. ``delay_seconds``: how long
    an event waits before its first try. ``shuffle_seed``: events that wait together go in a random order.
    """

    automatic: bool = True
    copies: int = 1
    ids_per_fact: int = 1
    delay_seconds: float = 0.0
    shuffle_seed: int | None = None


def signature(secret: str | Sequence[str], payload: bytes, at: int | None = None) -> str:
    """The Stripe-Signature header of a payload, made now by the real clock; one ``v1`` a secret."""
    moment = int(time.time()) if at is None else at
    signed = f"{moment}.".encode() + payload
    secrets = [secret] if isinstance(secret, str) else secret
    digests = [hmac.new(each.encode(), signed, hashlib.sha256).hexdigest() for each in secrets]
    return ",".join([f"t={moment}", *(f"v1={digest}" for digest in digests)])


class Deliverer:
    """Takes events from the store to one endpoint. ``housekeeping`` is called as time goes by."""

    def __init__(
        self,
        store: Store,
        url: str,
        secret: str | Sequence[str],
        options: DeliveryOptions | None = None,
        housekeeping: Callable[[], object] = lambda: None,
    ):
        self.store = store
        self.url = url
        self.secret = secret
        self.options = options or DeliveryOptions()
        self._housekeeping = housekeeping
        self._random = random.Random(self.options.shuffle_seed)
        self._passing = threading.Lock()
        self._wake = threading.Event()
        self._stop = False
        self._held_back = False
        self._thread: threading.Thread | None = None
        self._session = requests.Session()
        self._session.trust_env = False
        store.on_event = self._wake.set

    def start(self) -> None:
        """Deliver in the background, at once also what an earlier run could not."""
        self.store.query("UPDATE deliveries SET next_at = 0 WHERE state = 'pending'")
        self._thread = threading.Thread(target=self._loop, name="sandbox-webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop = True
        self._wake.set()
        if self._thread:
            self._thread.join(timeout=15)
        self._session.close()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Inside, nothing is done or delivered by itself: events go where ``hand_over`` takes them."""
        self._held_back = True
        with self._passing:
            pass  # a pass that was under way ends first
        try:
            yield
        finally:
            self._held_back = False
            self._wake.set()

    def hand_over(self, take: Take) -> int:
        """Give every event that was not taken yet to ``take``, oldest first; return how many it took."""
        with self._passing:
            rows = self.store.query(
                "SELECT number, event_id, attempts FROM deliveries WHERE state = 'pending' ORDER BY number"
            )
            return sum(self._deliver(*row, take) for row in rows)

    def pending(self) -> list[Object]:
        """The events that were not taken yet, oldest first."""
        rows = self.store.query("SELECT event_id FROM deliveries WHERE state = 'pending' ORDER BY number")
        return [self.store.get("event", event_id) for (event_id,) in rows]

    def deliver(self, *event_ids: str) -> int:
        """Deliver these events in this order, again where they were taken; return how many were taken."""
        taken = 0
        for event_id in event_ids:
            rows = self.store.query(
                "SELECT number, event_id, attempts FROM deliveries WHERE event_id = ?", event_id
            )
            taken += sum(self._deliver(*row) for row in rows)
        return taken

    def deliver_pending(self, *, at_once: bool = False) -> int:
        """Deliver what is due and return how many were taken. ``at_once``: also what waits for its next try."""
        with self._passing:
            now = time.time()
            rows = self.store.query(
                "SELECT number, event_id, attempts FROM deliveries WHERE state = 'pending' "
                "AND next_at + (CASE attempts WHEN 0 THEN ? ELSE 0 END) <= ? ORDER BY number",
                self.options.delay_seconds, now + (10**9 if at_once else 0),
            )  # fmt: skip
            if self.options.shuffle_seed is not None:
                self._random.shuffle(rows)
            return sum(self._deliver(*row) for row in rows if not (self._stop or self._held_back))

    def _deliver(self, number: int, event_id: str, attempts: int, take: Take | None = None) -> bool:
        payload = json.dumps(public(self.store.get("event", event_id))).encode()
        take = take or self._post
        taken = all([take(payload, signature(self.secret, payload)) for _ in range(self.options.copies)])
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

    def _post(self, payload: bytes, header: str) -> bool:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": header,
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            answer = self._session.post(
                self.url, data=payload, headers=headers, timeout=10, allow_redirects=False
            )
        except requests.RequestException:
            return False
        return 200 <= answer.status_code < 300

    def _loop(self) -> None:
        while not self._stop:
            self._wake.wait(timeout=LOOK_SECONDS)
            self._wake.clear()
            if self._stop:
                return
            if self._held_back:
                continue
            try:
                self._housekeeping()
                if self.options.automatic:
                    self.deliver_pending()
            except Exception:  # the next round may do better; without this thread nothing is delivered
                logger.exception("the sandbox failed to deliver its events")

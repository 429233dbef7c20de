"""The thread that processes events as soon as they were answered; what it misses, the job repeats."""

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from gateways.payments import Payments
from services.billing.inbox import process_event

logger = logging.getLogger("coffer.inbox")


class InboxWorker:
    """One thread of one process. ``context`` gives it a database session; it starts with the first event."""

    def __init__(
        self, context: Callable[[], AbstractContextManager[object]], payments: Callable[[], Payments]
    ):
        self._context = context
        self._payments = payments
        self._events: queue.Queue[int | None] = queue.Queue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, row_id: int) -> None:
        """Process an event soon."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
                self._thread.start()
        self._events.put(row_id)

    def wait(self) -> None:
        """Wait until everything submitted so far is processed."""
        self._events.join()

    def stop(self) -> None:
        """End after the event at work; the rest is left to the job."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None and thread.is_alive():
            self._drain()
            self._events.put(None)
            thread.join(timeout=15)

    def _drain(self) -> None:
        try:
            while True:
                self._events.get_nowait()
                self._events.task_done()
        except queue.Empty:
            return

    def _run(self) -> None:
        while True:
            row_id = self._events.get()
            try:
                if row_id is None:
                    return
                with self._context():
                    process_event(row_id, self._payments())
            except Exception:
                logger.exception("An event could not be processed; the job tries it again")
            finally:
                self._events.task_done()

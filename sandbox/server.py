"""The sandbox as a server in this process: the API and the hosted pages on one loopback port."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.api import Api, Environ
from sandbox.billing_clock import advance, next_due
from sandbox.faults import Faults
from sandbox.http import HttpServer
from sandbox.pages import hosted_pages
from sandbox.store import Store
from sandbox.webhooks import Deliverer, DeliveryOptions, Take

PAGES = "/sandbox"


class SandboxServer:
    """Stripe for the demo and the tests.

    ``webhook_url`` and ``webhook_secret``: where events go, signed (with several secrets as while one is
    replaced). ``public_base_url``: the origin under which browsers see ``/sandbox/``; empty: this server's
    own. ``seller``: whose name the pages show. ``tax_percent``: what automatic tax adds.
    ``refuse_when``: see ``Api``.
    """

    def __init__(
        self,
        path: str | Path,
        secret_key: str,
        webhook_url: str | None = None,
        webhook_secret: str | Sequence[str] = "",
        *,
        now: Callable[[], datetime] | None = None,
        public_base_url: str = "",
        port: int = 0,
        delivery: DeliveryOptions | None = None,
        seller: str = "Demo shop",
        tax_percent: int = 0,
        refuse_when: Callable[[Mapping[str, str]], str | None] | None = None,
    ):
        options = delivery or DeliveryOptions()
        self.store = Store(path, now)
        self.store.seller, self.store.tax_percent = seller, tax_percent
        self.store.ids_per_fact = options.ids_per_fact
        self.api = Api(self.store, secret_key)
        if refuse_when is not None:
            self.api.refuse_when = refuse_when
        self.pages = hosted_pages(self.store)
        self._http = HttpServer(port, self)
        self._port: int = self._http.server_address[1]
        self.base_url = f"http://127.0.0.1:{self._port}"
        self.store.public_base_url = public_base_url or self.base_url
        self.deliverer: Any = None
        if webhook_url:
            self.deliverer = Deliverer(self.store, webhook_url, webhook_secret, options, self.advance)
        self._thread: threading.Thread | None = None

    @property
    def faults(self) -> Faults:
        """Planned trouble; see ``sandbox.faults``."""
        return self.api.faults

    def advance(self) -> int:
        """Do whatever is due by the sandbox's clock, now; return how much was done."""
        return advance(self.store)

    def next_due(self) -> datetime | None:
        """When something is due next by the sandbox's clock."""
        moment = next_due(self.store)
        return None if moment is None else datetime.fromtimestamp(moment, UTC)

    def held_back(self) -> AbstractContextManager[None]:
        """Inside, nothing happens by itself: time goes by with ``advance``, events go out by ``hand_over``."""
        return self.deliverer.held_back() if self.deliverer else nullcontext()

    def hand_over(self, take: Take) -> int:
        """Give every event that was not taken yet to ``take``, oldest first; return how many it took."""
        return self.deliverer.hand_over(take) if self.deliverer else 0

    def start(self) -> "SandboxServer":
        """Serve and deliver in threads of this process."""
        self._serve()
        if self.deliverer:
            self.deliverer.start()
        return self

    def stop(self) -> None:
        """Stop serving and let go of the file."""
        if self.deliverer:
            self.deliverer.stop()
        self._unserve()
        self.store.close()

    @contextmanager
    def refusing_connections(self) -> Iterator[None]:
        """Inside, nothing listens on the port; afterwards the sandbox is back."""
        self._unserve()
        try:
            yield
        finally:
            self._http = HttpServer(self._port, self)
            self._serve()

    def _serve(self) -> None:
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.05,), name="sandbox", daemon=True
        )
        self._thread.start()

    def _unserve(self) -> None:
        if self._thread is None:
            self._http.server_close()
            return
        self._http.close()
        self._thread.join(timeout=5)
        self._thread = None

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """WSGI: pages under /sandbox/, the API elsewhere."""
        path = environ["PATH_INFO"]
        if not path.startswith(f"{PAGES}/"):
            return self.api(environ, start_response)
        mounted = {"SCRIPT_NAME": environ.get("SCRIPT_NAME", "") + PAGES, "PATH_INFO": path[len(PAGES) :]}
        return self.pages(environ | mounted, start_response)

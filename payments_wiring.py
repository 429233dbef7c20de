"""Wiring of payments: the gateway, the built-in sandbox where no key is set, the inbox's thread.

Nothing here starts before it is needed: a command that makes no payment starts no sandbox.
"""

import functools
import json
import logging
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import requests
from flask import Flask

from config import Settings, kept_secret
from errors import StorageUnavailable
from gateways.payments import Payments, Terms
from gateways.stripe_events import EventFacts, verified_event
from gateways.stripe_gateway import StripeGateway
from services.billing.environment import check_environment
from services.billing.inbox_worker import InboxWorker
from services.clock import business_now, wall_now
from services.unit_of_work import unit_is_open

logger = logging.getLogger("coffer.payments")
START_HOOKS = "coffer.start"
SANDBOX_PAGES = "/sandbox/"


def register(app: Flask) -> None:
    """Give the app ``payments``, ``webhook_verifier`` and ``inbox_worker``, and the sandbox its pages."""
    settings: Settings = app.extensions["settings"]
    payments = PaymentsOnDemand(app)
    app.extensions["payments"] = payments
    app.extensions["webhook_verifier"] = functools.partial(_verify, settings)
    app.extensions["inbox_worker"] = InboxWorker(app.app_context, lambda: app.extensions["payments"])
    app.extensions.setdefault(START_HOOKS, []).append(_start)
    if settings.uses_sandbox:
        app.wsgi_app = _with_sandbox_pages(app.wsgi_app, payments)  # type: ignore[method-assign]


def _start(app: Flask) -> Callable[[], None]:
    """Before serving: refuse another payment environment, start the sandbox. Raises Conflict."""
    payments: PaymentsOnDemand = app.extensions["payments"]
    payments.gateway()

    def stop() -> None:
        app.extensions["inbox_worker"].stop()
        payments.stop()

    return stop


class PaymentsOnDemand:
    """The gateway, made when it is first used; until then only its terms are known."""

    def __init__(self, app: Flask):
        self._app = app
        self._settings: Settings = app.extensions["settings"]
        self._lock = threading.Lock()
        self._gateway: Payments | None = None
        self.sandbox: Any = None
        self.terms = Terms(
            base_url=self._settings.base_url,
            return_origins=self._settings.return_origins,
            automatic_tax=self._settings.automatic_tax,
            environment=self._settings.payment_environment,
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self.gateway(), name)

    def gateway(self) -> Payments:
        """The one gateway of this process. Raises Conflict in another payment environment."""
        with self._lock:
            if self._gateway is None:
                with self._app.app_context():
                    check_environment(self.terms.environment)
                key, base = self._credentials()
                self._gateway = StripeGateway(key, base, self.terms, unit_is_open)
            return self._gateway

    def local_sandbox(self) -> Any:
        """The sandbox in this process; None where another process of this instance runs it."""
        self.gateway()
        return self.sandbox

    @property
    def sandbox_is_elsewhere(self) -> bool:
        """Whether this process uses a sandbox that another one runs; starts nothing."""
        return self._settings.uses_sandbox and self._gateway is not None and self.sandbox is None

    def stop(self) -> None:
        """Let go of the sandbox."""
        with self._lock:
            self._gateway = None
            if self.sandbox is not None:
                _address_file(self._settings).unlink(missing_ok=True)
                self.sandbox.stop()
                self.sandbox = None

    def _credentials(self) -> tuple[str, str]:
        settings = self._settings
        if not settings.uses_sandbox:
            return settings.stripe_secret_key.get_secret_value(), settings.stripe_api_base
        key = "sk_test_" + kept_secret(settings.instance_dir / "sandbox_key")
        running = _running_sandbox(settings, key)
        if running is not None:
            return key, running
        self.sandbox = _started_sandbox(settings, key)
        return key, self.sandbox.base_url


def _started_sandbox(settings: Settings, key: str) -> Any:
    from sandbox import SandboxServer  # only where no key is set

    server = SandboxServer(
        settings.instance_dir / "sandbox.sqlite",
        key,
        webhook_url=f"{settings.base_url}/webhooks/stripe",
        webhook_secret=_sandbox_webhook_secret(settings),
        now=business_now,
        public_base_url=settings.base_url,
        seller=settings.seller_name,
    ).start()
    _write_address(_address_file(settings), server.base_url)
    return server


def _running_sandbox(settings: Settings, key: str) -> str | None:
    """The address of a sandbox that another process of this instance runs."""
    try:
        base = json.loads(_address_file(settings).read_text())["base_url"]
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(
                f"{base}/v1/customers", params={"limit": 1}, timeout=2,
                headers={"Authorization": f"Bearer {key}"},
            )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(base) if answer.status_code == 200 else None


def _address_file(settings: Settings) -> Path:
    return settings.instance_dir / "sandbox.address"


def _write_address(path: Path, base_url: str) -> None:
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps({"base_url": base_url}))
    draft.replace(path)


@functools.cache
def _kept_once(path: Path) -> str:
    """A generated secret, read once: webhooks come often."""
    return kept_secret(path)


def _sandbox_webhook_secret(settings: Settings) -> str:
    return "whsec_" + _kept_once(settings.instance_dir / "sandbox_webhook_secret")


def _verify(settings: Settings, body: bytes, header: str | None) -> EventFacts:
    """The event of a delivery. Raises BadRequest, PaymentProviderUnavailable."""
    secrets = settings.webhook_secrets
    if settings.uses_sandbox:
        secrets = (_sandbox_webhook_secret(settings), *secrets)
    return verified_event(body, header, secrets, wall_now())


def pay_in_sandbox(app: Flask, session_id: str) -> None:
    """Pay a Checkout of the built-in sandbox with its good card: for the demo. Raises StorageUnavailable."""
    from sandbox.paying import pay_checkout

    server = app.extensions["payments"].local_sandbox()
    if server is None:
        raise StorageUnavailable("The sandbox runs in another process.")
    pay_checkout(server.store, session_id)


def _with_sandbox_pages(inner: Any, payments: PaymentsOnDemand) -> Callable[..., Iterable[bytes]]:
    """The sandbox's hosted pages on the product's own origin, under /sandbox/."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        server = payments.local_sandbox() if path.startswith(SANDBOX_PAGES) else None
        return inner(environ, start_response) if server is None else server(environ, start_response)

    return application

"""Headers on every answer, cookies' flags, proxies that are believed. Source: docs/security.md, headers."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Settings, origin_of

STRIPE_PAGES = ("https://checkout.stripe.com", "https://billing.stripe.com", "https://invoice.stripe.com")
FEATURES = (
    "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media",
    "fullscreen", "geolocation", "gyroscope", "hid", "identity-credentials-get", "idle-detection",
    "magnetometer", "microphone", "midi", "payment", "picture-in-picture", "publickey-credentials-get",
    "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip


def register(app: Flask) -> None:
    """Protect every answer of the app."""
    settings: Settings = app.extensions["settings"]
    app.config.update(cookie_config(settings))
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    headers = headers_for(settings) | {"Cache-Control": "no-store"}
    app.wsgi_app = with_headers(app.wsgi_app, headers)  # type: ignore[method-assign]


def with_headers(application: Any, headers: dict[str, str]) -> Callable[..., Iterable[bytes]]:
    """A WSGI application whose answers carry these headers, unless they set them themselves."""
    ours = [(name.lower(), (name, value)) for name, value in headers.items()]

    def run(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        def start(status: str, found: list[tuple[str, str]], *error: Any) -> Any:
            there = {name.lower() for name, _ in found}
            missing = [header for name, header in ours if name not in there]
            return start_response(status, found + missing, *error)

        return application(environ, start)

    return run


def cookie_config(settings: Settings) -> dict[str, object]:
    """How Flask's own cookie (form tokens, messages) is named and flagged."""
    return {
        "SESSION_COOKIE_NAME": "__Host-coffer-forms" if settings.is_https else "coffer-forms",
        "SESSION_COOKIE_SECURE": settings.is_https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_PATH": "/",
        # A form's token lives as long as the session it belongs to; signing in and out replaces both.
        "WTF_CSRF_TIME_LIMIT": None,
        "PREFERRED_URL_SCHEME": "https" if settings.is_https else "http",
    }


def headers_for(settings: Settings) -> dict[str, str]:
    """The headers of every answer; a view that sets one itself keeps its own."""
    headers = {
        "Content-Security-Policy": content_security_policy(settings),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": ", ".join(f"{feature}=()" for feature in FEATURES),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if settings.is_https:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


def content_security_policy(settings: Settings) -> str:
    """Everything from this origin alone; forms may also lead to the pages where one pays.

    A browser holds form-action against the redirect that answers a form, so Checkout's origins are in it.
    """
    targets = ["'self'", *STRIPE_PAGES, *settings.checkout_origins]
    if settings.stripe_api_base:
        targets.append(origin_of(settings.stripe_api_base))
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "font-src 'self'",
            "connect-src 'self'",
            f"form-action {' '.join(dict.fromkeys(targets))}",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ]
    )

"""GET /healthz, /readyz, /metrics. The first two say nothing that a stranger may not know."""

import hmac

from flask import Blueprint, Response, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST

from blueprints.access import public
from config import Settings
from errors import NotFound, Unauthorized
from services.operations.metrics import metrics_text
from services.operations.readiness import readiness

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def healthz() -> dict[str, str]:
    """The process is up."""
    return {"status": "ok"}


@blueprint.get("/readyz")
@public
def readyz() -> tuple[dict, int]:
    """Whether it can work: 200, or 503 with what fails."""
    settings: Settings = current_app.extensions["settings"]
    checks = readiness(has_scheduler=settings.scheduler == "on")
    is_ready = all(check.is_fine for check in checks)
    found = {check.name: {"ok": check.is_fine, "detail": check.detail} for check in checks}
    return {"status": "ready" if is_ready else "not ready", "checks": found}, 200 if is_ready else 503


@blueprint.get("/metrics")
@public
def metrics() -> Response:
    """Figures for Prometheus; METRICS_TOKEN as a bearer token opens it."""
    settings: Settings = current_app.extensions["settings"]
    token = settings.metrics_token.get_secret_value()
    if not token:
        raise NotFound("METRICS_TOKEN is not set.")
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise Unauthorized("METRICS_TOKEN is needed as a bearer token.")
    return Response(metrics_text(), content_type=CONTENT_TYPE_LATEST)

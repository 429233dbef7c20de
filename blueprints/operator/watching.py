"""What an operator watches: figures, Stripe's events, the proof, the audit log, the settings in force."""

import json
from dataclasses import dataclass
from typing import Any

from flask import current_app, flash, redirect, render_template, request, url_for
from flask_babel import format_date
from flask_babel import gettext as _
from pydantic import SecretStr
from werkzeug.wrappers import Response

from blueprints.access import operator_only
from blueprints.operator.blueprint import blueprint
from blueprints.operator.routes import LONGEST_SEARCH, row_number
from config import Settings
from models.inbox import INBOX_STATES
from services.billing import inbox
from services.billing.reconcile import last_reconciliation
from services.money import currency_digits
from services.operations import audit_log, figures, proof_record

EVENTS_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class Money:
    """A currency as charts and amounts take it."""

    scale: int
    currency: str
    is_money: bool = True


@blueprint.get("/operator")
@operator_only
def figures_page() -> str:
    """The instance at a glance."""
    return render_template(
        "operator/figures.html",
        outstanding=figures.credits_outstanding(),
        revenue=[(money, _money_of(money.currency), _points(money)) for money in figures.revenue()],
        attention=figures.attention(),
        days=figures.DAYS,
    )


@blueprint.get("/operator/events")
@operator_only
def events() -> str:
    """The inbox of Stripe's events, newest first."""
    state = request.args.get("state", "")
    state = state if state in INBOX_STATES else ""
    older_than = request.args.get("older_than", type=row_number)
    found = inbox.events(state or None, EVENTS_A_PAGE + 1, older_than)
    page = found[:EVENTS_A_PAGE]
    more = page[-1].id if len(found) > EVENTS_A_PAGE else None
    return render_template(
        "operator/events.html",
        events=page,
        state=state,
        counts=inbox.counts_by_state(),
        next_href=url_for("operator.events", state=state or None, older_than=more) if more else None,
    )


@blueprint.get("/operator/events/<event_id>")
@operator_only
def event(event_id: str) -> str:
    """One event: what it said, what became of it."""
    found, body = inbox.event_named(event_id)
    return render_template("operator/event.html", event=found, payload=_indented(body))


@blueprint.post("/operator/events/<event_id>/replay")
@operator_only
def replay_event(event_id: str) -> Response:
    """Process it again; what it led to is not done twice."""
    state = inbox.replay(event_id, current_app.extensions["payments"])
    if state == "failed":
        flash(_("The event failed again; it says why."), "danger")
    else:
        flash(_("The event was processed again."), "success")
    return redirect(url_for("operator.event", event_id=event_id), 303)


@blueprint.get("/operator/proof")
@operator_only
def proof() -> str:
    """The latest proof of the ledger: what was checked, and what failed."""
    return render_template("operator/proof.html", proof=proof_record.last_proof())


@blueprint.get("/operator/reconcile")
@operator_only
def reconcile() -> str:
    """The latest comparison with the payment provider."""
    return render_template("operator/reconcile.html", report=last_reconciliation())


@blueprint.get("/operator/audit")
@operator_only
def audit() -> str:
    """Who did what, outside the ledger."""
    account = request.args.get("account", "").strip()[:LONGEST_SEARCH]
    action = request.args.get("action", "").strip()[:LONGEST_SEARCH]
    found = audit_log.deeds(
        account=account, action=action, older_than=request.args.get("older_than", type=row_number)
    )
    more = found.next_cursor
    return render_template(
        "operator/audit.html",
        deeds=found.deeds,
        account=account,
        action=action,
        next_href=(
            url_for("operator.audit", account=account or None, action=action or None, older_than=more)
            if more
            else None
        ),
    )


@blueprint.get("/operator/settings")
@operator_only
def settings() -> str:
    """The settings in force; of secrets only whether they are set."""
    in_force: Settings = current_app.extensions["settings"]
    rows = [
        (
            name.upper(),
            field.description or "",
            _shown(getattr(in_force, name)),
            name in in_force.model_fields_set,
        )
        for name, field in Settings.model_fields.items()
    ]
    return render_template("operator/settings.html", settings=rows)


def _money_of(currency: str) -> Money:
    return Money(currency_digits(currency), currency)


def _points(money: figures.Revenue) -> list[dict[str, Any]]:
    """The chart's points, oldest first. A day that gave back more than came in stands at nothing."""
    return [
        {"label": format_date(day, "medium"), "tick": format_date(day, "MMM d"), "bar": cents, "line": 0}
        for day, cents in money.by_day
    ]


def _shown(value: Any) -> str:
    """A setting as text. Addresses may carry a password: that part is cut too."""
    if isinstance(value, SecretStr):
        return _("set") if value.get_secret_value() else ""
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if isinstance(value, tuple):
        return ", ".join(value)
    text = "" if value is None else str(value)
    if "://" in text and "@" in text:
        scheme, _separator, rest = text.partition("://")
        return f"{scheme}://…@{rest.rpartition('@')[2]}"
    return text


def _indented(body: str | None) -> str | None:
    if body is None:
        return None
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
